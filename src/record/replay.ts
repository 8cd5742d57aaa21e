import { isDeepStrictEqual } from 'node:util';
import type { Effect } from '../core/effects.js';
import type { Policy } from '../core/policy.js';
import type { State } from '../core/state.js';
import { step as coreStep } from '../core/step.js';
import { nameOf } from '../core/workers.js';
import type { WhyLine } from '../protocol/why.js';
import { type Beginning, decode, type Recorded } from './encode.js';
import { createNarrator } from './narrator.js';

export interface ReplayOptions {
  /** Today's core. */
  readonly step?: typeof coreStep;
  /** What it is to decide by in place of what was in force. */
  readonly policy?: (recorded: Policy) => Policy;
  /** Hears what the record tells in words, as it was decided then. */
  readonly onLine?: (line: WhyLine) => void;
}

export interface Replay {
  /** Turns that were run again. */
  readonly turns: number;
  /** Of the first and the last of them, ms since 1970; null: there was none. */
  readonly fromMs: number | null;
  readonly toMs: number | null;
  /** Programs that wrote the record, in their order. */
  readonly runs: readonly Omit<Beginning, 'state' | 'policy'>[];
  /** Lines that cannot be read. What is behind them is run again from the next beginning on. */
  readonly gaps: readonly { readonly line: number; readonly why: string }[];
  /** Where the core would decide otherwise for the first time; null: nowhere. */
  readonly difference: Difference | null;
}

export interface Difference {
  readonly turn: Recorded;
  /** An outline of the state before. */
  readonly state: string;
  /** What the core decided then, and what it decides now. */
  readonly recorded: readonly Effect[];
  readonly today: readonly Effect[];
  /** What the core threw; null: nothing. */
  readonly thrown: string | null;
}

/** Runs a record through a core, up to the first turn that it answers differently. */
export function replay(text: string, options: ReplayOptions = {}): Replay {
  const { step = coreStep, policy = (recorded) => recorded, onLine } = options;
  const runs: Omit<Beginning, 'state' | 'policy'>[] = [];
  const gaps: { line: number; why: string }[] = [];
  let narrator = createNarrator();
  let state: State | null = null;
  let [turns, fromMs, toMs]: [number, number | null, number | null] = [0, null, null];
  const policies = new Map<Policy, Policy>();
  const policyOf = (recorded: Policy): Policy => {
    const known = policies.get(recorded) ?? policy(recorded);
    policies.set(recorded, known);
    return known;
  };
  const result = (difference: Difference | null): Replay => ({ turns, fromMs, toMs, runs, gaps, difference });
  for (const entry of decode(text)) {
    if (entry.type === 'gap') {
      gaps.push({ line: entry.line, why: entry.why });
      continue;
    }
    if (entry.type === 'begin') {
      const { state: beginning, policy: _, ...run } = entry.beginning;
      // The next file of the same program goes on where the one before ends.
      const isSame = runs.some(({ pid, build }) => pid === run.pid && build === run.build);
      if (!isSame) {
        runs.push(run);
        narrator = createNarrator();
      }
      state = beginning;
      continue;
    }
    if (state === null) continue;
    const before = state;
    turns += 1;
    fromMs ??= entry.clockMs;
    toMs = entry.clockMs;
    const { now, clockMs, event, effects } = entry;
    try {
      const inForce = policyOf(entry.policy);
      const [after, today] = step(before, event, now, inForce);
      if (!isSameEffects(today, effects)) {
        return result({ turn: entry, state: outline(before), recorded: effects, today, thrown: null });
      }
      if (onLine !== undefined) {
        const turn = { now, clockMs, event, policy: inForce, before, after, effects };
        for (const line of narrator.narrate(turn)) onLine(line);
      }
      state = after;
    } catch (error) {
      const thrown = error instanceof Error ? error.message : String(error);
      return result({ turn: entry, state: outline(before), recorded: effects, today: [], thrown });
    }
  }
  return result(null);
}

/** A record knows no difference between what is undefined and what is not there. */
function isSameEffects(one: readonly Effect[], other: readonly Effect[]): boolean {
  if (one.length === 0 && other.length === 0) return true;
  return isDeepStrictEqual(JSON.parse(JSON.stringify(one)), JSON.parse(JSON.stringify(other)));
}

/** A state in a few lines. */
export function outline({ life, generation, reload, slots, workers }: State): string {
  const trial = reload === null ? '' : `, reload to generation ${reload.target} (${reload.stage.name})`;
  const each = workers.map((worker) => {
    const { key, generation, phase, pid, vitals } = worker;
    const health = phase === 'ready' ? `, ${vitals.health}` : '';
    return `#${key} ${nameOf(worker)}, PID ${pid ?? 'none'}, generation ${generation}, ${phase}${health}`;
  });
  const due = slots
    .filter(({ forkAt }) => forkAt !== null)
    .map(({ id, forkAt }) => `slot ${id} is to be filled at ${forkAt}`);
  return [`${life.phase}, generation ${generation}${trial}, ${slots.length} slots`, ...each, ...due].join(
    '\n',
  );
}
