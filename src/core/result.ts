import type { Answer } from '../protocol/control-api.js';
import type { Effect, LogEffect } from './effects.js';
import type { Asked } from './events.js';
import type { State, Worker } from './state.js';
import { findWorker } from './workers.js';
/** A new state, and what is to be done about it. */
export type Result = readonly [State, readonly Effect[]];

export function unchanged(state: State): Result {
  return [state, []];
}

/** Runs one step after another, gathering the effects of both. */
export function chain([state, effects]: Result, next: (state: State) => Result): Result {
  const result = next(state);
  const [after, more] = result;
  // Most steps do nothing: copying for them is most of what a step costs.
  if (effects.length === 0) return result;
  return more.length === 0 ? [after, effects] : [after, [...effects, ...more]];
}

export function chainAll(state: State, steps: readonly ((state: State) => Result)[]): Result {
  return steps.reduce<Result>(chain, unchanged(state));
}

/** Visits every worker as it is by then: what was done about one may have changed or removed others. */
export function eachWorker(state: State, visit: (state: State, worker: Worker) => Result): Result {
  let result = unchanged(state);
  for (const [place, { key }] of state.workers.entries()) {
    const [next] = result;
    // Mostly it is where it was. A search for each would cost the square of their number.
    const here = next.workers[place];
    const worker = here?.key === key ? here : findWorker(next, key);
    if (worker !== undefined) result = chain(result, (state) => visit(state, worker));
  }
  return result;
}

export function log(level: LogEffect['level'], message: string, fields?: LogEffect['fields']): LogEffect {
  return fields === undefined ? { type: 'log', level, message } : { type: 'log', level, message, fields };
}

export function answer(state: State, request: number, answer: Answer): Result {
  return [state, [{ type: 'answer', request, answer }]];
}

/** Said to who asked, and in the log: signals have nobody who reads an answer. */
export function refused(state: State, { request, by }: Asked, reason: string): Result {
  return [
    state,
    [
      { type: 'answer', request, answer: { accepted: false, reason } },
      log('warn', `refused: ${reason}`, { by }),
    ],
  ];
}

/** Why nothing can be changed now; null where it can. */
export function refusal({ life, reload }: State): string | null {
  if (life.phase === 'stopping' || life.phase === 'ended') return 'the service is stopping';
  if (life.phase !== 'serving') return 'the service is still starting';
  return reload === null
    ? null
    : `a reload to generation ${reload.target} is under way (${reload.stage.name})`;
}
