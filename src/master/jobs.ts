import { readCgroups, unitInCgroup } from '../config/cgroup.js';
import type { Event } from '../core/events.js';
import type { State } from '../core/state.js';
import type { Dispatch } from '../jobs/dispatch.js';
import type { Scheduler } from '../jobs/scheduler.js';
import type { LazyLog } from '../logging/lazy-log.js';
import type { Notifier } from '../notify/notifier.js';
import type { JobCommands } from '../protocol/control-api.js';
import { badVerdicts, type JobCounters, type PublicJob } from '../protocol/jobs.js';
import { extendBy, extendInterval } from '../protocol/limits.js';
import type { ClusterStats } from '../protocol/stats.js';
import type { ServiceManager } from '../service-manager/service-manager.js';
import type { FleetSide, JobTakers } from './fleet.js';
import { appFlags, launchOf } from './launch.js';
import type { Release } from './releases.js';
import { now, systemFiles } from './system.js';

/** The jobs of the service: loaded only where the configuration has some, and never before it serves. */
export interface MasterJobs {
  /** The first generation serves. */
  begin(): void;
  /** Called after each event of the core. */
  changed(before: State, after: State, event: Event): void;
  /** Resolves once no job runs any more. */
  ended(): Promise<void>;
  /** The names of those that run. */
  running(): readonly string[];
  /** Another process begins the jobs from now on: as at a stop. */
  leave(): Promise<void>;
  readonly commands: JobCommands;
  /** With the jobs, where there are some. */
  inStats(stats: ClusterStats): ClusterStats;
  counters(): readonly JobCounters[] | null;
}

export interface MasterJobsSeam {
  /** The release in force. */
  readonly release: () => Release;
  /** Where the service listens. */
  readonly urls: () => readonly string[];
  readonly serviceManager: Pick<ServiceManager, 'notify'>;
  readonly notifier: Pick<Notifier, 'isOn' | 'observe'>;
  readonly log: Pick<LazyLog, 'info' | 'warn' | 'error'>;
  /** null: this host is alone. */
  readonly fleet: () => Promise<FleetSide | null>;
}

export function createMasterJobs(seam: MasterJobsSeam): MasterJobs {
  const { release, log, serviceManager } = seam;
  let scheduler: Scheduler | null = null;
  let turn: Promise<unknown> = Promise.resolve();
  let hasBegun = false;
  let stopping: Promise<void> | null = null;

  // In turn: a reload may end while the jobs before it are still being read.
  const configure = (): void => {
    const { jobs } = release().config;
    if (jobs.length === 0 && scheduler === null) return;
    turn = turn
      .then(async () => {
        if (stopping !== null) return;
        const fleet = await seam.fleet();
        scheduler ??= await openScheduler(seam, fleet);
        await scheduler.configure(jobs);
        fleet?.takeJobs(
          jobs.filter(({ enabled }) => enabled),
          takersOf(scheduler),
        );
      })
      .catch((error: unknown) => log.error('the jobs cannot be scheduled', { error }));
  };
  const stop = (within: number): void => {
    if (stopping !== null && within > 0) return;
    const beg = setInterval(() => serviceManager.notify({ extend: extendBy }), extendInterval).unref();
    stopping = turn.then(() => scheduler?.stop(within)).finally(() => clearInterval(beg));
  };
  return {
    begin: () => {
      hasBegun = true;
      configure();
    },
    changed: (before, after, event) => {
      if (before.reload !== null && after.reload === null && hasBegun) configure();
      if (before.life.phase !== after.life.phase && after.life.phase === 'stopping')
        stop(release().config.drainTimeout);
      if (event.type === 'stop' && event.now) stop(0);
      scheduler?.awake();
    },
    running: () =>
      scheduler?.status().flatMap(({ name, running }) => (running.length > 0 ? [name] : [])) ?? [],
    leave: async () => {
      stop(release().config.drainTimeout);
      await stopping;
    },
    ended: async () => {
      await (stopping ?? turn);
    },
    commands: {
      list: async () => {
        await turn;
        return scheduler?.status() ?? [];
      },
      run: async (job, by) => {
        await turn;
        return scheduler?.ask(job, by) ?? null;
      },
      follow: (id, listener) => scheduler?.follow(id, listener) ?? null,
      runs: async (job) => {
        await turn;
        return scheduler?.runs(job) ?? null;
      },
      output: async (run) => scheduler?.output(run) ?? '',
    },
    inStats: (stats) => (scheduler === null ? stats : { ...stats, jobs: scheduler.status().map(publicJob) }),
    counters: () => scheduler?.counters() ?? null,
  };
}

function publicJob({
  name,
  schedule,
  timezone,
  enabled,
  nextMs,
  running,
  queued,
  last,
}: JobStatusOf): PublicJob {
  const at = (ms: number | null | undefined): string | null =>
    ms == null ? null : new Date(ms).toISOString();
  const tookMs = last === null || last.endedMs === null ? null : last.endedMs - last.startedMs;
  return {
    ...{ name, schedule, timezone, enabled, nextAt: at(nextMs), running: running.length, queued },
    ...{ lastVerdict: last?.verdict ?? null, lastEndedAt: at(last?.endedMs), lastTookMs: tookMs },
  };
}

type JobStatusOf = ReturnType<Scheduler['status']>[number];

/** What the fleet has this host do with its jobs. */
function takersOf(scheduler: Scheduler): JobTakers {
  return {
    run: async (due) => {
      const { verdict, startedMs, endedMs } = await scheduler.run(due);
      return { verdict: verdict ?? 'ended', startedMs, endedMs: endedMs ?? Date.now() };
    },
    lost: (due, host) => scheduler.report(due, 'lost', `its host ${host} died, or was away for too long`),
    skipped: (due) => scheduler.report(due, 'skipped', 'the run before, on another host, was not over'),
    replaced: (due, { byMs, hasBegun }) => {
      if (hasBegun) scheduler.replace(due, byMs);
      else scheduler.report(due, 'replaced', `a run was due at ${new Date(byMs).toISOString()}`);
    },
  };
}

/** Each host hands on each due time; one of them runs it. */
function fleetDispatch(fleet: FleetSide): Dispatch {
  return {
    due: ({ job, dueMs, missed }) => fleet.due({ job, dueMs, missed }),
    close: async () => fleet.releaseJobs(),
  };
}

async function openScheduler(seam: MasterJobsSeam, fleet: FleetSide | null): Promise<Scheduler> {
  const { release, urls, notifier, log } = seam;
  const { createScheduler } = await import('../jobs/scheduler.js');
  const { createRunner } = await import('../jobs/runner.js');
  const { openStore } = await import('../jobs/store.js');
  const { markOf } = await import('../jobs/processes.js');
  const { askZones } = await import('../jobs/ask-zones.js');
  const cgroups = once(async () => {
    const { openCgroups } = await import('../jobs/cgroups.js');
    return openCgroups({
      own: ownCgroup(),
      unit: ownUnit(),
      uid: process.getuid?.() ?? -1,
      info: (text) => log.info(text),
    });
  });
  // As of now: the first run moves this process.
  const procs = (): string | null => {
    const own = ownCgroup();
    return own === null ? null : `${own}/cgroup.procs`;
  };
  return createScheduler({
    store: openStore({
      dir: `${release().config.stateDir}/jobs`,
      onProblem: (message, error) => log.error(message, { error }),
    }),
    runner: createRunner({
      surroundings: () => {
        const { config, cwd } = release();
        return {
          cwd,
          env: launchOf(release(), { worker: null, workers: 1 }).env,
          nodeArgs: (module) => appFlags({ app: module, nodeArgs: config.nodeArgs }),
          url: () => urls().find((url) => /^(https?:|\/)/.test(url)) ?? null,
        };
      },
      cgroups,
      procs,
    }),
    self: await markOf(process.pid),
    cgroups,
    procs,
    now: () => ({ wallMs: Date.now(), ms: now() }),
    wake: oneTimer(),
    zones: askZones,
    ...(fleet === null ? {} : { dispatch: () => fleetDispatch(fleet), rerunsLost: false }),
    log,
    onOver: (run) => {
      if (run.verdict === null || !badVerdicts.has(run.verdict) || !notifier.isOn()) return;
      const { job, verdict, reason, attempts } = run;
      notifier.observe({ type: 'job', job, verdict, cause: reason ?? verdict, attempts });
    },
  });
}

function ownCgroup(): string | null {
  if (systemFiles.platform !== 'linux') return null;
  return readCgroups(systemFiles)({ version: 'v2', controller: '' })[0] ?? null;
}

function ownUnit(): { readonly name: string | null; readonly ofUser: boolean } {
  try {
    const { unit, ofUser } = unitInCgroup(systemFiles.readFile('/proc/self/cgroup'));
    return { name: unit, ofUser };
  } catch {
    return { name: null, ofUser: false };
  }
}

/** One timer, which does not keep the process alive; null: none is armed. */
function oneTimer(): (after: number | null, callback: () => void) => void {
  let timer: NodeJS.Timeout | undefined;
  return (after, callback) => {
    clearTimeout(timer);
    timer = after === null ? undefined : setTimeout(callback, after).unref();
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}
