import type { Effect, LogEffect } from './effects.js';
import type { State, Worker, WorkerKey } from './model.js';

/** A new state, and what is to be done about it. */
export type Result = readonly [State, readonly Effect[]];

export function unchanged(state: State): Result {
  return [state, []];
}

/** Runs one step after another, gathering the effects of both. */
export function chain([state, effects]: Result, next: (state: State) => Result): Result {
  const [after, more] = next(state);
  return [after, [...effects, ...more]];
}

export function chainAll(state: State, steps: readonly ((state: State) => Result)[]): Result {
  return steps.reduce<Result>(chain, unchanged(state));
}

export function log(level: LogEffect['level'], message: string, fields?: LogEffect['fields']): LogEffect {
  return fields === undefined ? { type: 'log', level, message } : { type: 'log', level, message, fields };
}

export function findWorker(state: State, key: WorkerKey): Worker | undefined {
  return state.workers.find((worker) => worker.key === key);
}

export function replaceWorker(state: State, changed: Worker): State {
  return {
    ...state,
    workers: state.workers.map((worker) => (worker.key === changed.key ? changed : worker)),
  };
}

export function removeWorker(state: State, key: WorkerKey): State {
  return { ...state, workers: state.workers.filter((worker) => worker.key !== key) };
}
