import type { JobRun } from '../protocol/jobs.js';

/** A time at which a job is to run. */
export interface Due {
  readonly job: string;
  /** ms since 1970; with the job's name it names the run, on every host. */
  readonly dueMs: number;
  /** Earlier due times that passed unseen and that this run stands for. */
  readonly missed: number;
}

/**
 * Where a due time goes: to a run on this host (localDispatch), or to the fleet, of which one host runs it.
 *
 * The scheduler of each host hands each due time on, and may do so more than once: after a restart, or because the call
 * failed. An implementation runs it once.
 */
export interface Dispatch {
  /**
   * Resolves once the due time is safe: it runs, will run, has run, or somebody else has it. A rejection has the scheduler
   * hand it on again a few seconds later.
   */
  due(due: Due): Promise<void>;
  /** Nothing is handed on any more. */
  close(): Promise<void>;
}

/** What a dispatch calls to have a due time run on this host. */
export interface Runs {
  /**
   * Runs the job by its rules (overlap, timeout, retries), and resolves with what became of it once it is over. Never
   * rejects.
   *
   * @param runId names the run where the fleet has a name for it already
   */
  run(due: Due, runId?: string): Promise<JobRun>;
}

export interface LocalDispatchSeam {
  /** Notes on disk that the due time has been taken; false: somebody has taken it before. */
  readonly claim: (due: Due) => Promise<boolean>;
  readonly runs: Runs;
}

/** Runs everything here. A due time is claimed on disk before it runs, so that two masters never run it both. */
export function localDispatch({ claim, runs }: LocalDispatchSeam): Dispatch {
  let closed = false;
  return {
    due: async (due) => {
      if (closed || !(await claim(due))) return;
      void runs.run(due);
    },
    close: async () => {
      closed = true;
    },
  };
}
