import { link, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory, syncDirectory } from '../files.js';
import type { JobRun } from '../protocol/jobs.js';
import type { JobConfig } from '../settings/jobs.js';
import type { Due } from './dispatch.js';
import {
  directoryMode,
  type HistorySeam,
  namesIn,
  openHistory,
  readJson,
  removed,
  replace,
  writeText,
} from './history.js';

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
  /** To the disk unless given. */
  readonly write?: HistorySeam['write'];
}

export function openStore({ dir, onProblem, write: writeTo = writeText }: StoreSeam): JobStore {
  const claims = join(dir, 'claims');
  const running = join(dir, 'running');
  const history = openHistory({ dir, onProblem, write: writeTo });
  const outputFile = (job: string, id: string): string => join(dir, 'output', job, `${id}.log`);
  const underWayFile = (id: string): string => join(running, `${id}.json`);
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
  /** On a full disk: a second name for the claim before it takes no space, and says the same of the schedule. */
  const claimByLink = async ({ name, schedule, timezone }: JobConfig, path: string): Promise<boolean> => {
    const before = join(claims, `${name}@${Math.max(...(await claimed(name)))}`);
    const note = await readJson<Claim>(before);
    if (note?.schedule !== schedule || note.timezone !== timezone) return false;
    return link(before, path).then(
      () => true,
      () => false,
    );
  };
  const claim = async (config: JobConfig, atMs: number, runs: boolean): Promise<boolean> => {
    const { name, schedule, timezone } = config;
    await makeDirectory(claims, directoryMode);
    const path = join(claims, `${name}@${atMs}`);
    try {
      const file = await open(path, 'wx', 0o640);
      const note: Claim = { schedule, timezone, runs };
      try {
        await writeTo(path, JSON.stringify(note), 'a');
        // Without its content it would not say after a loss of power of which schedule it is.
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      // It is not taken, so that another attempt can.
      await removed(path);
      if (codeOf(error) !== 'ENOSPC' || !(await claimByLink(config, path))) throw error;
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
        await history.catchUp();
        await replace(underWayFile(entry.run.id), JSON.stringify(entry), writeTo);
      }, 'cannot note that a job runs'),
    leftUnderWay: async () => {
      const names = (await namesIn(running)).filter((name) => name.endsWith('.json'));
      const found: UnderWay[] = [];
      for (const name of names) {
        const entry = await readJson<UnderWay>(join(running, name));
        const isUnderWay =
          entry?.run?.id !== undefined &&
          entry.master !== undefined &&
          // Its master may have been killed between the line in the history and the removal of this file.
          !(await history.runs(entry.run.job)).some(({ id }) => id === entry.run.id);
        if (isUnderWay) found.push(entry);
        else await removed(join(running, name));
      }
      return found;
    },

    add: (run) =>
      write(
        () => history.add(run),
        'cannot note on disk that the run of a job is over: if the daemon is killed now, the next one takes the run for lost',
      ),
    runs: async (job) => {
      await writing;
      return history.runs(job);
    },
    outputFile,
    output: async (job, id) => {
      await writing;
      return readFile(outputFile(job, id), 'utf8').catch(() => '');
    },
  };
}

/** A name of a job has no "@" in it. */
function splitClaim(name: string): readonly [job: string, atMs: number] {
  const at = name.lastIndexOf('@');
  const time = Number(name.slice(at + 1));
  return at > 0 && Number.isSafeInteger(time) ? [name.slice(0, at), time] : ['', 0];
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
