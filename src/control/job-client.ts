import type { JobLog } from '../protocol/control-api.js';
import type { JobLine, JobRun, JobStatus } from '../protocol/jobs.js';
import { notRomAgent, wentAway } from './client-errors.js';

/** With what a run wrote in lines, as well: each can be made plain for a terminal by itself. The last may go on. */
export type JobLineIn = Exclude<JobLine, { type: 'output' }> | JobOutputIn;
export type JobOutputIn = Extract<JobLine, { type: 'output' }> & { readonly lines: readonly string[] };
export type JobLogIn = JobLog & { readonly lines: readonly string[] };

/** What a client can ask about jobs. */
export interface JobCalls {
  jobs(): Promise<readonly JobStatus[]>;
  /**
   * Runs a job now, and resolves to the run once it is over; `onLine` gets what it writes.
   *
   * @throws RomAgentError where there is no such job, or the daemon goes away before the end
   */
  runJob(job: string, by: string, onLine: (line: JobLineIn) => void): Promise<JobRun>;
  /** @param run its id; null: the last one that began */
  jobLog(job: string, run: string | null): Promise<JobLogIn>;
}

interface Call {
  readonly method: 'GET' | 'POST';
  readonly route: string;
  readonly body: unknown;
}

export interface JobCaller {
  /** Of the control socket. */
  readonly path: string;
  ask(call: Call): Promise<unknown>;
  stream(call: Call & { readonly onLine: (value: unknown) => void }): Promise<void>;
}

export function jobCalls(caller: JobCaller): JobCalls {
  const { path } = caller;
  return {
    jobs: async () => {
      const found = await caller.ask({ method: 'GET', route: 'jobs', body: null });
      if (!Array.isArray(found)) throw notRomAgent(path, 'an answer that is not a JSON array');
      return found as readonly JobStatus[];
    },
    runJob: async (job, by, onLine) => {
      const ended: JobRun[] = [];
      await caller.stream({
        ...{ method: 'POST', route: `jobs/${encodeURIComponent(job)}/run`, body: { by } },
        onLine: (value) => {
          const line = value as JobLine;
          if (line.type === 'ended') ended.push(line.run);
          onLine(line.type === 'output' ? { ...line, lines: line.text.split('\n') } : line);
        },
      });
      const [run] = ended;
      if (run === undefined) throw wentAway(path);
      return run;
    },
    jobLog: async (job, run) => {
      const query = run === null ? '' : `?run=${encodeURIComponent(run)}`;
      const route = `jobs/${encodeURIComponent(job)}/log${query}`;
      const found = await caller.ask({ method: 'GET', route, body: null });
      if (found === null || typeof found !== 'object')
        throw notRomAgent(path, 'an answer that is no JSON object');
      const log = found as JobLog;
      return { ...log, lines: log.output.split('\n') };
    },
  };
}
