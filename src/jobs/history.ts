import {
  type FileHandle,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../files.js';
import type { JobRun } from '../protocol/jobs.js';
import { endMark, readEndMark } from './end-mark.js';

/** How many runs of a job are kept, and how many bytes of their output. */
export const mostRuns = 50;
/** And how many that never began, since the one before was not over. */
const mostLeftOut = 10;
const mostOutput = 4 * 2 ** 20;
/** Of what is made in the state directory. */
export const directoryMode = 0o750;

/** What became of the last runs of each job. */
export interface History {
  /** Adds a run that is over, and forgets that it is under way. Rejects only where that is noted nowhere on disk. */
  add(run: JobRun): Promise<void>;
  /** Writes what a full disk had no space for. Never rejects. */
  catchUp(): Promise<void>;
  /** Newest first. */
  runs(job: string): Promise<readonly JobRun[]>;
}

export interface HistorySeam {
  /** `jobs` in the state directory. */
  readonly dir: string;
  readonly onProblem: (message: string, error: unknown) => void;
  /** Appends the text, or writes the file anew. Rejects where the disk is full, maybe with a part of the text written. */
  readonly write: (path: string, text: string, flag: 'a' | 'w') => Promise<void>;
}

/**
 * The history, which a full disk does not make forget that a run is over: a next master would take the run for lost, and run
 * it again. What cannot be appended stays in memory until it can, and on disk in the name of a file, which needs no space:
 * the file that says that the run is under way is renamed, or an empty one is made.
 */
export function openHistory({ dir, onProblem, write }: HistorySeam): History {
  const running = join(dir, 'running');
  const path = (job: string): string => join(dir, 'runs', `${job}.ndjson`);
  /** Lines of each history, which is shortened at twice its length. */
  const lines = new Map<string, number>();
  /** Runs that are over and not in their history, with the file whose name says so; null: there is none. */
  const waiting = new Map<string, { readonly run: JobRun; readonly mark: string | null }>();
  let found: Promise<void> | null = null;

  /** What a master before this one could not append. */
  const findMarks = async (): Promise<void> => {
    for (const name of await namesIn(running)) {
      const run = readEndMark(name);
      if (run === null) continue;
      const mark = join(running, name);
      const begun = (await readJson<{ readonly run?: JobRun }>(mark))?.run;
      const by = begun?.by ?? (run.dueMs === null ? 'unknown' : 'schedule');
      waiting.set(run.id, { run: { ...run, by }, mark });
    }
  };
  const marksFound = (): Promise<void> => {
    found ??= findMarks();
    return found;
  };
  const append = async (run: JobRun): Promise<void> => {
    await makeDirectory(join(dir, 'runs'), directoryMode);
    const known = lines.get(run.job) ?? (await readRuns(path(run.job))).length;
    // A line that was cut by a full disk or a crash must not take this one with it.
    const begin = (await endsLine(path(run.job))) ? '' : '\n';
    await write(path(run.job), `${begin}${JSON.stringify(run)}\n`, 'a');
    lines.set(run.job, known + 1);
  };
  const forget = async (id: string, mark: string | null): Promise<void> => {
    waiting.delete(id);
    if (mark !== null) await removed(mark);
  };
  const catchUp = async (): Promise<void> => {
    await marksFound();
    for (const [id, { run, mark }] of waiting) {
      try {
        await append(run);
      } catch {
        return;
      }
      await forget(id, mark);
    }
  };
  /** @returns the file whose name says that the run is over */
  const markEnd = async (run: JobRun): Promise<string> => {
    const mark = join(running, endMark(run));
    await rename(join(running, `${run.id}.json`), mark).catch(async () => {
      await makeDirectory(running, directoryMode);
      await (await open(mark, 'w', 0o640)).close();
    });
    return mark;
  };
  const keepWaiting = async (run: JobRun): Promise<void> => {
    const marked = await markEnd(run).then(
      (mark) => ({ mark }),
      (error: unknown) => ({ mark: null, error }),
    );
    waiting.set(run.id, { run, mark: marked.mark });
    const ofJob = keptOf([...waiting.values()].map((each) => each.run).filter(({ job }) => job === run.job));
    const kept = new Set(ofJob.map(({ id }) => id));
    for (const [id, each] of waiting)
      if (each.run.job === run.job && !kept.has(id)) await forget(id, each.mark);
    if ('error' in marked) throw marked.error;
  };
  const outputFolder = (job: string): string => join(dir, 'output', job);
  const shorten = async (job: string): Promise<void> => {
    const kept = keptOf(await readRuns(path(job)));
    await replace(path(job), kept.map((run) => `${JSON.stringify(run)}\n`).join(''), write);
    lines.set(job, kept.length);
    const ids = new Set([...kept.map(({ id }) => id), ...waiting.keys()]);
    const underWay = new Set(await namesIn(running));
    for (const name of await namesIn(outputFolder(job))) {
      const id = name.replace(/\.log$/, '');
      // A run that is under way is not in the history yet.
      if (!ids.has(id) && !underWay.has(`${id}.json`)) await removed(join(outputFolder(job), name));
    }
  };
  const tidy = async (job: string): Promise<void> => {
    if ((lines.get(job) ?? 0) >= 2 * mostRuns) await shorten(job);
    await boundOutput(outputFolder(job));
  };

  return {
    add: async (run) => {
      await catchUp();
      try {
        await append(run);
      } catch (error) {
        onProblem('cannot add to the history of jobs: trying again when the next run begins or ends', error);
        return keepWaiting(run);
      }
      await removed(join(running, `${run.id}.json`));
      await tidy(run.job).catch((error: unknown) => onProblem('cannot shorten the history of jobs', error));
    },
    catchUp,
    runs: async (job) => {
      await marksFound();
      const late = [...waiting.values()].map(({ run }) => run).filter((run) => run.job === job);
      return keptOf([...(await readRuns(path(job))), ...late])
        .slice()
        .reverse();
    },
  };
}

/** What was left out must not push the others out. */
function keptOf(runs: readonly JobRun[]): readonly JobRun[] {
  const isLeftOut = ({ verdict }: JobRun): boolean => verdict === 'skipped';
  const last = new Set([
    ...runs.filter((run) => !isLeftOut(run)).slice(-mostRuns),
    ...runs.filter(isLeftOut).slice(-mostLeftOut),
  ]);
  return runs.filter((run) => last.has(run));
}

/** Removes the oldest files beyond the limit. */
async function boundOutput(folder: string): Promise<void> {
  const names = await namesIn(folder);
  if (names.length < 2) return;
  const files = await Promise.all(
    names.map(async (name) => {
      const { size, mtimeMs } = await stat(join(folder, name)).catch(() => ({ size: 0, mtimeMs: 0 }));
      return { name, size, mtimeMs };
    }),
  );
  let sum = 0;
  for (const { name, size } of files.sort((a, b) => b.mtimeMs - a.mtimeMs)) {
    sum += size;
    if (sum > mostOutput) await removed(join(folder, name));
  }
}

/**
 * Oldest first. A line that is damaged, as by a crash in the middle of it, is left out, and so is a run's second one: a
 * master may have been killed between the line and the removal of the file that stood for it.
 */
async function readRuns(path: string): Promise<readonly JobRun[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const runs = new Map<string, JobRun>();
  for (const line of text.split('\n')) {
    try {
      const run = JSON.parse(line) as JobRun | null;
      if (typeof run?.id === 'string' && typeof run.startedMs === 'number' && !runs.has(run.id))
        runs.set(run.id, run);
    } catch {}
  }
  return [...runs.values()];
}

/** Whether the next line can follow at once. */
async function endsLine(path: string): Promise<boolean> {
  let file: FileHandle | null = null;
  try {
    file = await open(path, 'r');
    const { size } = await file.stat();
    if (size === 0) return true;
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
    return buffer[0] === 0x0a;
  } catch {
    return true;
  } finally {
    await file?.close();
  }
}

export async function readJson<T>(path: string): Promise<T | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch {
    return null;
  }
}

/** A reader sees the old file or the new one. What a full disk has cut is removed. */
export async function replace(path: string, text: string, write: HistorySeam['write']): Promise<void> {
  try {
    await write(`${path}.new`, text, 'w');
    await rename(`${path}.new`, path);
  } catch (error) {
    await removed(`${path}.new`);
    throw error;
  }
}

export const writeText: HistorySeam['write'] = (path, text, flag) =>
  writeFile(path, text, { flag, mode: 0o640 });

export function namesIn(path: string): Promise<readonly string[]> {
  return readdir(path).catch(() => []);
}

export function removed(path: string): Promise<void> {
  return unlink(path).catch(() => rm(path, { force: true }).catch(() => {}));
}
