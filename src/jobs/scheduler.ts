import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { makeDirectory } from '../files.js';
import type { JobCounters, JobLine, JobRun, JobStatus, JobVerdict } from '../protocol/jobs.js';
import type { Millis } from '../protocol/limits.js';
import { type JobConfig, jobName, showWork } from '../settings/jobs.js';
import type { RunCgroups } from './cgroups.js';
import { type Dispatch, type Due, localDispatch, type Runs } from './dispatch.js';
import { type Calendar, calendarOf } from './due.js';
import { directoryMode } from './history.js';
import { createOutput, type Output } from './output.js';
import { describe, initialState, isActive, nextDeadline, step } from './policy.js';
import { isSameProcess, killRest } from './processes.js';
import type { RunHandle, Runner } from './runner.js';
import type { JobsEffect, JobsEvent, JobsState, Now } from './state.js';
import type { Handled, JobStore, ProcessMark, UnderWay } from './store.js';
import type { Offset } from './zones.js';

/** The jobs of a service: the policy, and what performs its effects. */
export interface Scheduler extends Runs {
  /** The jobs of the configuration in force. */
  configure(jobs: readonly JobConfig[]): Promise<void>;
  /** Something woke the process up: looks whether the clock was set. Costs no more than reading it. */
  awake(): void;
  /** Runs a job now. null: there is no such job. @returns the run's id */
  ask(job: string, by: string): string | null;
  /** What a run writes, and its end. @returns what ends it; null: no such run is under way */
  follow(id: string, listener: (line: JobLine) => void): (() => void) | null;
  status(): readonly JobStatus[];
  counters(): readonly JobCounters[];
  /** Newest first, those under way included; null: there is no such job. */
  runs(job: string): Promise<readonly JobRun[] | null>;
  output(run: JobRun): Promise<string>;
  /** Ends the run of this due time: the fleet has a later one. */
  replace(due: Due, byMs: number): void;
  /** Notes a due time of which this host ran nothing. */
  report(due: Due, verdict: 'lost' | 'skipped' | 'replaced', reason: string): void;
  /** Resolves once nothing runs, after so long at the latest. Nothing begins from now on. */
  stop(within: Millis): Promise<void>;
}

export interface SchedulerSeam {
  readonly store: JobStore;
  readonly runner: Runner;
  /** What this process is known by to the next master. */
  readonly self: ProcessMark;
  readonly cgroups: () => Promise<RunCgroups | null>;
  /** cgroup.procs of the own cgroup, which this process may be moved out of; null: unknown. */
  readonly procs: () => string | null;
  readonly now: () => Now;
  /** Calls back once, after so many ms, unless it is called again before; null: not at all. */
  readonly wake: (after: Millis | null, callback: () => void) => void;
  readonly log: Readonly<
    Record<'info' | 'warn' | 'error', (message: string, fields?: Readonly<Record<string, unknown>>) => void>
  >;
  /** A run is over. */
  readonly onOver?: (run: JobRun) => void;
  /** Where due times go; to this host unless given. */
  readonly dispatch?: (runs: Runs) => Dispatch;
  /** false: somebody else sees to it that a lost run of a due time is run again. */
  readonly rerunsLost?: boolean;
  /** The offsets of time zones, null for one that there is not; found by Intl in this process unless given. */
  readonly zones?: (names: readonly string[]) => Promise<ReadonlyMap<string, Offset | null>>;
}

/** setTimeout takes no more; and a clock that is set while nothing wakes the process is seen after this time. */
const longestWait: Millis = 2 ** 31 - 1;
/** A wall clock that differs from the monotonic one by more than this since the last look has been set. */
const clockStep: Millis = 500;

interface Live {
  readonly output: Output;
  readonly listeners: Set<(line: JobLine) => void>;
  handle: RunHandle | null;
}

interface Tally {
  verdicts: Partial<Record<JobVerdict, number>>;
  missed: number;
  secondsTotal: number;
  last: JobRun | null;
  lastSuccessMs: number | null;
}

export function createScheduler(seam: SchedulerSeam): Scheduler {
  const { store, runner, now, wake, log } = seam;
  let state: JobsState = initialState(Math.floor(Math.random() * 2 ** 32));
  let offset = now().wallMs - now().ms;
  let isFirst = true;
  const calendars = new Map<string, Calendar>();
  const zones = new Map<string, Offset | null>();
  const live = new Map<string, Live>();
  const tallies = new Map<string, Tally>();
  const waiting = new Map<string, (run: JobRun) => void>();
  const stopped: (() => void)[] = [];

  const calendarFor = (config: JobConfig): Calendar => {
    const key = `${config.timezone ?? ''} ${config.schedule}`;
    const known = calendars.get(key) ?? calendarOf(config, zones.get(config.timezone ?? '') ?? undefined);
    calendars.set(key, known);
    return known;
  };
  const post = (event: JobsEvent): void => {
    const [next, effects] = step(state, event, now(), calendarFor);
    state = next;
    for (const effect of effects) perform(effect);
    arm();
  };
  const arm = (): void => {
    const delay = nextDeadline(state, now());
    wake(delay === null ? null : Math.min(delay, longestWait), () => post({ type: 'tick' }));
    if (state.stop !== null && state.runs.length === 0) for (const done of stopped.splice(0)) done();
  };
  const failed = (what: string) => (error: unknown) => log.error(what, { error });
  const perform = (effect: JobsEffect): void => {
    switch (effect.type) {
      case 'hand-on':
        return handOn(effect.due);
      case 'handled':
        return void store.handled(effect.config, effect.untilMs).catch(failed(notKept));
      case 'unhandled':
        return void store.forget(effect.job, effect.afterMs).catch(failed(notKept));
      case 'forget':
        return void store.forget(effect.job).catch(failed(notKept));
      case 'start':
        return start(effect);
      case 'signal':
        return live.get(effect.id)?.handle?.signal(effect.signal);
      case 'over':
        return over(effect.run);
      case 'log':
        return log[effect.level](effect.message, effect.fields);
    }
  };
  const handOn = (due: Due): void => {
    dispatch.due(due).then(
      () => {},
      (error: Error) => post({ type: 'not-handed', due, error: error.message }),
    );
  };
  const start = ({ id, config, due, attempt, run }: Extract<JobsEffect, { type: 'start' }>): void => {
    const { output, listeners } = liveOf(id, config.name);
    const note = (leader: ProcessMark | null, cgroup: string | null): Promise<void> => {
      const { onLost } = config;
      return store.underWay({ run, onLost, missed: run.missed, master: seam.self, leader, cgroup });
    };
    const noted = note(null, null);
    if (attempt > 1) output.say(`[attempt ${attempt}]\n`);
    for (const listener of listeners) listener({ type: 'run', run });
    const handle = runner.start(
      { id, config, due, attempt, output, noted },
      {
        onStarted: ({ leader, cgroup }) => void note(leader, cgroup),
        onEnded: (ending) => post({ type: 'exited', id, ending }),
      },
    );
    liveOf(id, config.name).handle = handle;
  };
  const liveOf = (id: string, job: string): Live => {
    const known = live.get(id);
    if (known !== undefined) return known;
    const path = store.outputFile(job, id);
    const output = createOutput({
      path,
      prepare: () => makeDirectory(dirname(path), directoryMode),
      onProblem: failed('cannot keep the output of a job'),
    });
    const made: Live = { output, listeners: new Set(), handle: null };
    live.set(id, made);
    return made;
  };
  const tallyOf = (job: string): Tally => {
    const known = tallies.get(job) ?? {
      ...{ verdicts: {}, missed: 0, secondsTotal: 0, last: null, lastSuccessMs: null },
    };
    tallies.set(job, known);
    return known;
  };
  const over = (run: JobRun): void => {
    const { id, job, verdict, startedMs, endedMs } = run;
    const tally = tallyOf(job);
    if (verdict !== null) tally.verdicts[verdict] = (tally.verdicts[verdict] ?? 0) + 1;
    tally.missed += run.missed;
    if (run.attempts > 0) tally.secondsTotal += Math.max(0, (endedMs ?? startedMs) - startedMs) / 1_000;
    if (verdict === 'done') tally.lastSuccessMs = endedMs;
    tally.last = run;
    seam.onOver?.(run);
    const ended = live.get(id);
    const finish = async (): Promise<void> => {
      await ended?.output.end();
      await store.add(run);
      live.delete(id);
      for (const listener of ended?.listeners ?? []) listener({ type: 'ended', run });
      waiting.get(id)?.(run);
      waiting.delete(id);
    };
    track(finish());
  };
  const finishing = new Set<Promise<void>>();
  const track = (work: Promise<void>): void => {
    const tracked = work.catch(failed(notKept)).finally(() => finishing.delete(tracked));
    finishing.add(tracked);
  };
  const ask = (
    job: string,
    due: Due | null,
    { id, by }: { readonly id: string; readonly by: string },
  ): void => {
    liveOf(id, job);
    post({ type: 'run', id, job, due, by });
  };
  const isKnown = (job: string): boolean => state.jobs.some(({ config }) => config.name === job);
  const runs: Runs = {
    run: (due, runId = newId(due.dueMs)) => {
      if (!isKnown(due.job)) {
        const none = notBegun(due, runId, now());
        return Promise.resolve({ ...none, verdict: 'skipped', reason: 'this host has no such job' });
      }
      return new Promise((resolve) => {
        waiting.set(runId, resolve);
        ask(due.job, due, { id: runId, by: 'schedule' });
      });
    },
  };
  const claim = async (due: Due): Promise<boolean> => {
    const config = state.jobs.find((job) => job.config.name === due.job)?.config;
    return config !== undefined && store.claim(due, config);
  };
  const dispatch = (seam.dispatch ?? ((to) => localDispatch({ claim, runs: to })))(runs);
  const begin = async (jobs: readonly JobConfig[]): Promise<readonly UnderWay[]> => {
    for (const { name } of jobs) {
      const all = await store.runs(name);
      const tally = tallyOf(name);
      tally.last ??= all[0] ?? null;
      tally.lastSuccessMs ??= all.find(({ verdict }) => verdict === 'done')?.endedMs ?? null;
    }
    const lost: UnderWay[] = [];
    for (const entry of await store.leftUnderWay()) {
      // Another master is alive, whose run it is.
      if (entry.master.pid !== seam.self.pid && (await isSameProcess(entry.master))) continue;
      await endLost(entry, seam);
      lost.push(entry);
    }
    return lost;
  };

  /** Due times that were taken by a master that was killed before it began the run. */
  const neverBegun = async (
    jobs: readonly JobConfig[],
    {
      found,
      lost,
    }: { readonly found: Readonly<Record<string, Handled>>; readonly lost: readonly UnderWay[] },
  ): Promise<readonly Pick<UnderWay, 'run' | 'onLost'>[]> => {
    const all: Pick<UnderWay, 'run' | 'onLost'>[] = [];
    for (const { name, onLost } of jobs) {
      const { untilMs: dueMs = 0, runs: wasTaken = false } = found[name] ?? {};
      const isOfIt = (run: JobRun): boolean => run.job === name && run.dueMs === dueMs;
      if (!wasTaken || lost.some(({ run }) => isOfIt(run)) || (await store.runs(name)).some(isOfIt)) continue;
      const run = notBegun({ job: name, dueMs, missed: 0 }, newId(dueMs), now());
      all.push({ run, onLost });
    }
    return all;
  };
  const reportLost = (run: JobRun, onLost: JobConfig['onLost']): void => {
    const { job, dueMs, missed, by } = run;
    const isOurs = dueMs === null || seam.rerunsLost !== false;
    const again = isOurs && onLost === 'rerun' && isKnown(job) && state.stop === null;
    const reason = `its daemon was killed${again ? ': running it again' : ''}`;
    over({ ...run, endedMs: now().wallMs, verdict: 'lost', reason });
    log.error(`the job ${job} was lost: ${reason}`, { job, run: run.id, verdict: 'lost' });
    const due = dueMs === null ? null : { job, dueMs, missed };
    if (again) ask(job, due, { id: newId(now().wallMs), by });
  };
  /** A zone that the check knew from the system's database may be too new for this Node. */
  const withZones = async (jobs: readonly JobConfig[]): Promise<readonly JobConfig[]> => {
    const names = new Set(
      jobs.flatMap(({ enabled, timezone }) => (enabled && timezone !== null ? [timezone] : [])),
    );
    const unknown = [...names].filter((name) => name !== 'UTC' && !zones.has(name));
    if (unknown.length > 0 && seam.zones !== undefined) {
      const found = await seam.zones(unknown).catch((error: Error) => {
        log.warn('no process tells the time zones: the master finds them itself, and keeps 2 MB for it', {
          error,
        });
        return new Map<string, Offset>();
      });
      for (const [name, offset] of found) zones.set(name, offset);
    }
    return jobs.map((config) => {
      const { name, timezone, enabled } = config;
      if (!enabled || timezone === null || zones.get(timezone) !== null) return config;
      log.error(`the job ${name} is not scheduled: this Node does not know the time zone ${timezone}`, {
        job: name,
      });
      return { ...config, enabled: false };
    });
  };

  return {
    ...runs,
    configure: async (given) => {
      const jobs = await withZones(given);
      const wasFirst = isFirst;
      isFirst = false;
      const lost = wasFirst ? await begin(jobs) : [];
      const known = new Set(state.jobs.map(({ config }) => config.name));
      const found = await store.handledUntil(jobs.filter(({ name }) => !known.has(name)));
      const handled = Object.fromEntries(Object.entries(found).map(([name, { untilMs }]) => [name, untilMs]));
      const never = wasFirst ? await neverBegun(jobs, { found, lost }) : [];
      post({ type: 'configure', jobs, handled });
      for (const { run, onLost } of lost) reportLost(run, onLost);
      for (const { run, onLost } of never) reportLost(run, onLost);
    },
    awake: () => {
      const { wallMs, ms } = now();
      if (Math.abs(wallMs - ms - offset) <= clockStep) return;
      offset = wallMs - ms;
      post({ type: 'tick' });
    },
    ask: (job, by) => {
      if (!isKnown(job)) return null;
      const id = newId(now().wallMs);
      ask(job, null, { id, by });
      return id;
    },
    follow: (id, listener) => {
      const found = live.get(id);
      if (found === undefined) return null;
      const run = state.runs.find((each) => each.id === id);
      if (run !== undefined) listener({ type: 'run', run: describe(run) });
      const forget = found.output.follow((stream, text) => listener({ type: 'output', stream, text }));
      found.listeners.add(listener);
      return () => {
        forget();
        found.listeners.delete(listener);
      };
    },
    status: () => state.jobs.map(({ config, next }) => statusOf(config, next?.dueMs ?? null)),
    counters: () =>
      state.jobs.map(({ config: { name }, next }) => {
        const { verdicts, missed, secondsTotal, last, lastSuccessMs } = tallyOf(name);
        const took = last === null || last.endedMs === null ? null : (last.endedMs - last.startedMs) / 1_000;
        return {
          ...{ name, verdicts, missed, secondsTotal, lastSeconds: took },
          lastSuccessSeconds: lastSuccessMs === null ? null : lastSuccessMs / 1_000,
          nextSeconds: next === null ? null : next.dueMs / 1_000,
          running: state.runs.filter((run) => run.config.name === name && isActive(run)).length,
        };
      }),
    runs: async (job) => {
      // It becomes the name of a file.
      if (!jobName.pattern.test(job)) return null;
      const past = await store.runs(job);
      if (!isKnown(job) && past.length === 0) return null;
      const under = state.runs.filter(({ config }) => config.name === job).map(describe);
      return [...under.reverse(), ...past];
    },
    output: ({ job, id }) => store.output(job, id),
    replace: (due, byMs) => post({ type: 'replace', due, byMs }),
    report: (due, verdict, reason) => {
      const none = notBegun(due, newId(due.dueMs), now());
      over({ ...none, verdict, reason });
    },
    stop: async (within) => {
      await dispatch.close();
      await new Promise<void>((resolve) => {
        const limit = setTimeout(resolve, within + 1_000);
        stopped.push(() => {
          clearTimeout(limit);
          resolve();
        });
        post({ type: 'stop', within });
      });
      wake(null, () => {});
      await Promise.allSettled([...finishing]);
    },
  };

  function statusOf(config: JobConfig, nextMs: number | null): JobStatus {
    const { name, schedule, timezone, work, enabled } = config;
    const own = state.runs.filter((run) => run.config.name === name);
    const running = own.filter(isActive).map(describe);
    const queued = own.length - running.length;
    const { last } = tallyOf(name);
    return { name, schedule, timezone, work: showWork(work), enabled, nextMs, running, queued, last };
  }
}

const notKept = 'cannot keep the state of jobs';

/** Sorts by time, and names a file. */
function newId(atMs: number): string {
  const time = new Date(atMs).toISOString().replaceAll(/[-:]|\.\d+Z/g, '');
  return `${time}-${randomBytes(3).toString('hex')}`;
}

function notBegun({ job, dueMs, missed }: Due, id: string, { wallMs }: Now): JobRun {
  return {
    ...{ id, job, dueMs, by: 'schedule', startedMs: wallMs, endedMs: wallMs, verdict: null, reason: null },
    ...{ attempts: 0, exitCode: null, signal: null, outputBytes: 0, missed },
  };
}

async function endLost(
  { leader, cgroup, run }: UnderWay,
  { cgroups, procs }: Pick<SchedulerSeam, 'cgroups' | 'procs'>,
): Promise<void> {
  if (cgroup !== null) await (await cgroups())?.endLeft(cgroup);
  await killRest({ leader, runId: run.id, procs: procs() });
}
