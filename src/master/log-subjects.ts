import type { State, Worker } from '../core/state.js';
import { slotOf } from '../core/workers.js';

/** The worker that an entry of the log is about, for the fields of the journal. */
export interface LogSubjects {
  changed(before: State, after: State): void;
  /** `ROM_WORKER` and `ROM_GENERATION` of the worker that has the field `workerPid`. */
  of(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, number>>;
}

export function createLogSubjects(): LogSubjects {
  // An entry about a death comes when its worker is no longer among those that are left.
  let recent: readonly (readonly Worker[])[] = [];
  return {
    changed: (before, after) => {
      if (before.workers !== after.workers) recent = [after.workers, before.workers];
    },
    of: ({ workerPid }) => {
      const worker = workerPid === undefined ? undefined : recent.flat().find(({ pid }) => pid === workerPid);
      if (worker === undefined) return {};
      const slot = slotOf(worker);
      return { ...(slot === null ? {} : { ROM_WORKER: slot }), ROM_GENERATION: worker.generation };
    },
  };
}
