import type { Effect } from '../../src/core/effects.js';
import type { Event } from '../../src/core/events.js';
import type { Policy } from '../../src/core/policy.js';
import type { State, Worker } from '../../src/core/state.js';
import { slotOf } from '../../src/core/workers.js';
import type { Millis } from '../../src/protocol/limits.js';

/** What a step made of a state. */
export interface Transition {
  readonly before: State;
  readonly event: Event;
  readonly after: State;
  readonly effects: readonly Effect[];
  readonly now: Millis;
  readonly policy: Policy;
}

export interface Invariant {
  readonly words: string;
  /** What contradicts it; undefined where nothing does. */
  readonly broken: (transition: Transition) => string | undefined;
}

export function isAccepted(effects: readonly Effect[]): boolean {
  return effects.some((effect) => effect.type === 'answer' && effect.answer.accepted);
}

export function isRunning({ life }: State): boolean {
  return life.phase === 'starting' || life.phase === 'serving';
}

export function here({ workers }: State, id: number): readonly Worker[] {
  return workers.filter((worker) => slotOf(worker) === id);
}

export function serves(state: State, id: number): boolean {
  return here(state, id).some(({ phase }) => phase === 'ready');
}

export function isUp({ phase }: Worker): boolean {
  return phase === 'starting' || phase === 'spare' || phase === 'ready';
}

export function holds(worker: Worker): boolean {
  return isUp(worker) || (worker.phase === 'dying' && worker.was !== 'draining');
}

/** On trial beside the worker of its slot. */
export function isExtra({ reload }: State, { generation }: Worker): boolean {
  const stage = reload?.stage.name;
  return generation === reload?.target && (stage === 'canary' || stage === 'soak');
}

/** A canary that boots as a spare does, and takes no client until its mirror has a verdict. */
export function isMirrored({ reload }: State, { role, generation }: Worker): boolean {
  return role.kind === 'spare' && reload?.rollback === true && generation === reload.target;
}

/** The generations of the workers that are forked into a slot. */
export function forksInto(effects: readonly Effect[], id: number): readonly number[] {
  return effects.flatMap((effect) =>
    effect.type === 'fork' && slotOf(effect) === id ? [effect.generation] : [],
  );
}
