import { type JobRun, jobVerdicts } from '../protocol/jobs.js';

/** No part of it has an "@". */
const first = 'over';

/** A run that is over as the name of a file: at most 220 bytes, of which a job's name has 63. */
export function endMark(run: JobRun): string {
  const { job, id, dueMs, startedMs, endedMs, verdict, exitCode, signal } = run;
  const { attempts, outputBytes, missed } = run;
  const parts = [
    job,
    id,
    dueMs,
    startedMs,
    endedMs,
    verdict,
    exitCode,
    signal,
    attempts,
    outputBytes,
    missed,
  ];
  return [first, ...parts.map((part) => part ?? '')].join('@');
}

/** What the name says of the run: neither why, nor who asked for it. null: it is not such a name. */
export function readEndMark(name: string): (JobRun & { readonly by: '' }) | null {
  const [mark, job = '', id = '', dueMs, startedMs, endedMs, verdictIs, exitCode, signal, ...counts] =
    name.split('@');
  const verdict = jobVerdicts.find((each) => each === verdictIs);
  if (mark !== first || counts.length !== 3 || verdict === undefined) return null;
  const number = (text: string | undefined): number | null => (text ? Number(text) : null);
  const [attempts, outputBytes, missed] = counts.map((each) => number(each) ?? 0);
  return {
    ...{ id, job, dueMs: number(dueMs), by: '', startedMs: number(startedMs) ?? 0, endedMs: number(endedMs) },
    ...{ verdict, reason: 'why is not known: the disk was full when it ended', attempts: attempts ?? 0 },
    ...{ exitCode: number(exitCode), signal: signal || null },
    ...{ outputBytes: outputBytes ?? 0, missed: missed ?? 0 },
  };
}
