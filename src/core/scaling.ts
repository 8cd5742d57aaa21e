import type { Millis } from '../protocol/limits.js';
import { type Bounds, boundsOf } from '../settings/worker-count.js';
import type { Policy } from './policy.js';
import type { Scaling } from './scaling-state.js';
import type { Transaction } from './transaction.js';

/** What the number of workers follows, where it follows the load: see autoscale.ts. */
export interface Rules extends Bounds {
  /** Share of the time that the loops are to be busy, 0 to 1. */
  readonly target: number;
  readonly downAfter: Millis;
}

/** null: the number is fixed. */
export function rulesOf({ workers, scale }: Pick<Policy, 'workers' | 'scale'>): Rules | null {
  if (typeof workers === 'number') return null;
  const bounds = boundsOf(workers);
  return bounds.min === bounds.max ? null : { ...bounds, ...scale };
}

/** An operator asks for a number: it holds. */
export function hold(t: Transaction): void {
  if (rulesOf(t.policy) !== null) changeScaling(t, { held: true, cap: null });
}

/** The load decides again: an operator says so, or a reload is done. */
export function letGo(t: Transaction): void {
  changeScaling(t, { held: false, cap: null });
}

export function changeScaling(t: Transaction, changed: Partial<Scaling>): void {
  const { scaling } = t.state;
  const next = { ...scaling, ...changed };
  const isSame = (Object.keys(changed) as (keyof Scaling)[]).every((key) => scaling[key] === next[key]);
  if (!isSame) t.update({ scaling: next });
}
