import type { WorkerKey } from '../protocol/messages.js';
import type { Effect, LogEffect } from './effects.js';
import type { State, Worker } from './model.js';

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

export function findWorker(state: State, key: WorkerKey): Worker | undefined {
  return state.workers.find((worker) => worker.key === key);
}

export function replaceWorker(state: State, changed: Worker): State {
  const place = state.workers.findIndex(({ key }) => key === changed.key);
  return place === -1 ? state : { ...state, workers: state.workers.with(place, changed) };
}

export function removeWorker(state: State, key: WorkerKey): State {
  return { ...state, workers: state.workers.filter((worker) => worker.key !== key) };
}
