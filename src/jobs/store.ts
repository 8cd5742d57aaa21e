import { appendFile, open, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isThere, makeDirectory, syncDirectory } from '../files.js';
import type { JobRun } from '../protocol/jobs.js';
import type { JobConfig } from '../settings/jobs.js';
import type { Due } from './dispatch.js';

/** How many runs of a job are kept, and how many bytes of their output. */
export const mostRuns = 50;
/** And how many that never began, since the one before was not over. */
const mostLeftOut = 10;
const mostOutput = 4 * 2 ** 20;
/** Of what is made in the state directory. */
export const directoryMode = 0o750;

/** What outlives the daemon: which due times are taken, which runs are under way, what became of the last runs. */
export interface JobStore {
  /**
   * Takes a due time, for good, before its run begins. false: this or a later one has been taken, maybe by another master.
   *
   * @throws where the directory cannot be written
   */
  claim(due: Due, config: JobConfig): Promise<boolean>;
  /** Notes that all due times up to this one are handled. */
  handled(config: JobConfig, untilMs: number): Promise<void>;
  /** Forgets the later ones, or all. */
  forget(job: string, afterMs?: number): Promise<void>;
  /** Up to when the due times of each job are handled, as far as its schedule is still the same. */
  handledUntil(jobs: readonly JobConfig[]): Promise<Readonly<Record<string, Handled>>>;

  /** A run has begun, or its process is known. */
  underWay(entry: UnderWay): Promise<void>;
  /** Those that nobody has ended. */
  leftUnderWay(): Promise<readonly UnderWay[]>;

  /** Adds a run that is over, and forgets that it is under way. */
  add(run: JobRun): Promise<void>;
  /** Newest first. */
  runs(job: string): Promise<readonly JobRun[]>;
  /** Where the output of a run is. */
  outputFile(job: string, id: string): string;
  output(job: string, id: string): Promise<string>;
}

export interface Handled {
  readonly untilMs: number;
  /** Whether that due time was taken to be run; otherwise it was given up, or the job was seen for the first time. */
  readonly runs: boolean;
}

interface Claim {
  readonly schedule: string;
  readonly timezone: string | null;
  readonly runs: boolean;
}

/** A run that is under way, as the next master finds it. */
export interface UnderWay {
  readonly run: JobRun;
  readonly onLost: JobConfig['onLost'];
  readonly missed: number;
  readonly master: ProcessMark;
  /** The first process of the run, which leads its group; null: it was not there yet. */
  readonly leader: ProcessMark | null;
  readonly cgroup: string | null;
}

/** A process: another one with its number has another start. */
export interface ProcessMark {
  readonly pid: number;
  /** As the system has it; null where it does not say. */
  readonly start: string | null;
}

export interface StoreSeam {
  /** `jobs` in the state directory; made where it is missing. */
  readonly dir: string;
  readonly onProblem: (message: string, error: unknown) => void;
}

export function openStore({ dir, onProblem }: StoreSeam): JobStore {
  const claims = join(dir, 'claims');
  const running = join(dir, 'running');
  const history = (job: string): string => join(dir, 'runs', `${job}.ndjson`);
  const outputFile = (job: string, id: string): string => join(dir, 'output', job, `${id}.log`);
  const underWayFile = (id: string): string => join(running, `${id}.json`);
  /** Lines of each history, which is shortened at twice its length. */
  const lines = new Map<string, number>();
  let claiming: Promise<unknown> = Promise.resolve();
  let writing: Promise<unknown> = Promise.resolve();
  // In turn: of two due times of a job the earlier one is taken first.
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const done = claiming.then(act);
    claiming = done.catch(() => {});
    return done;
  };

  const claimed = async (job: string): Promise<readonly number[]> => {
    const names = await namesIn(claims);
    return names.flatMap((name) => {
      const [of, at] = splitClaim(name);
      return of === job ? [at] : [];
    });
  };
  const claim = async (config: JobConfig, atMs: number, runs: boolean): Promise<boolean> => {
    const { name, schedule, timezone } = config;
    await makeDirectory(claims, directoryMode);
    const path = join(claims, `${name}@${atMs}`);
    try {
      const file = await open(path, 'wx', 0o640);
      const note: Claim = { schedule, timezone, runs };
      try {
        await file.writeFile(JSON.stringify(note));
        // Without its content it would not say after a loss of power of which schedule it is.
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      // It is not taken, so that another attempt can.
      await removed(path);
      throw error;
    }
    const all = await claimed(name);
    // One that another master took and has removed since, for a later one.
    if (all.some((each) => each > atMs)) {
      await removed(path);
      return false;
    }
    // Where the file system cannot, the claim stands as long as the power does.
    await syncDirectory(claims).catch(() => {});
    for (const each of all) if (each < atMs) await removed(join(claims, `${name}@${each}`));
    return true;
  };
  const write = (act: () => Promise<void>, what: string): Promise<void> => {
    const done = writing.then(act).catch((error: unknown) => onProblem(what, error));
    writing = done;
    return done;
  };
  const shorten = async (job: string): Promise<void> => {
    const all = await readRuns(history(job));
    const kept = keptOf(all);
    lines.set(job, kept.length);
    const text = kept.map((run) => `${JSON.stringify(run)}\n`).join('');
    await replace(history(job), text);
    const ids = new Set(kept.map(({ id }) => id));
    for (const name of await namesIn(dirname(outputFile(job, 'any')))) {
      const id = name.replace(/\.log$/, '');
      // A run that is under way is not in the history yet.
      if (!ids.has(id) && !(await isThere(underWayFile(id)))) await removed(outputFile(job, id));
    }
  };

  return {
    claim: (due, config) => inTurn(() => claim(config, due.dueMs, true)),
    handled: (config, untilMs) => inTurn(async () => void (await claim(config, untilMs, false))),
    forget: (job, afterMs = Number.NEGATIVE_INFINITY) =>
      inTurn(async () => {
        for (const each of await claimed(job))
          if (each > afterMs) await removed(join(claims, `${job}@${each}`));
      }),
    handledUntil: (jobs) =>
      inTurn(async () => {
        const found: Record<string, Handled> = {};
        for (const { name, schedule, timezone } of jobs) {
          const all = await claimed(name);
          if (all.length === 0) continue;
          const last = Math.max(...all);
          const note = await readJson<Claim>(join(claims, `${name}@${last}`));
          if (note?.schedule === schedule && note.timezone === timezone)
            found[name] = { untilMs: last, runs: note.runs };
          // Of another schedule: it must not stand in the way of an earlier time.
          else for (const each of all) await removed(join(claims, `${name}@${each}`));
        }
        return found;
      }),

    underWay: (entry) =>
      write(async () => {
        await makeDirectory(running, directoryMode);
        await replace(underWayFile(entry.run.id), JSON.stringify(entry));
      }, 'cannot note that a job runs'),
    leftUnderWay: async () => {
      const names = (await namesIn(running)).filter((name) => name.endsWith('.json'));
      const found: UnderWay[] = [];
      for (const name of names) {
        const entry = await readJson<UnderWay>(join(running, name));
        if (entry?.run?.id !== undefined && entry.master !== undefined) found.push(entry);
        else await removed(join(running, name));
      }
      return found;
    },

    add: (run) =>
      write(async () => {
        await makeDirectory(dirname(history(run.job)), directoryMode);
        if (!lines.has(run.job)) lines.set(run.job, (await readRuns(history(run.job))).length);
        await appendFile(history(run.job), `${JSON.stringify(run)}\n`, { mode: 0o640 });
        await removed(underWayFile(run.id));
        lines.set(run.job, (lines.get(run.job) ?? 0) + 1);
        if ((lines.get(run.job) ?? 0) >= 2 * mostRuns) await shorten(run.job);
        await boundOutput(dirname(outputFile(run.job, 'any')));
      }, 'cannot keep the history of jobs'),
    runs: async (job) => {
      await writing;
      return keptOf(await readRuns(history(job)))
        .slice()
        .reverse();
    },
    outputFile,
    output: async (job, id) => {
      await writing;
      return readFile(outputFile(job, id), 'utf8').catch(() => '');
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

/** A name of a job has no "@" in it. */
function splitClaim(name: string): readonly [job: string, atMs: number] {
  const at = name.lastIndexOf('@');
  const time = Number(name.slice(at + 1));
  return at > 0 && Number.isSafeInteger(time) ? [name.slice(0, at), time] : ['', 0];
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

/** Oldest first. A line that is damaged, as by a crash in the middle of it, is left out. */
async function readRuns(path: string): Promise<readonly JobRun[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    try {
      const run = JSON.parse(line) as JobRun | null;
      return typeof run?.id === 'string' && typeof run.startedMs === 'number' ? [run] : [];
    } catch {
      return [];
    }
  });
}

async function readJson<T>(path: string): Promise<T | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch {
    return null;
  }
}

/** A reader sees the old file or the new one. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o640 });
  await rename(`${path}.new`, path);
}

function namesIn(path: string): Promise<readonly string[]> {
  return readdir(path).catch(() => []);
}

function removed(path: string): Promise<void> {
  return unlink(path).catch(() => rm(path, { force: true }).catch(() => {}));
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
