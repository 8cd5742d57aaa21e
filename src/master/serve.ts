import { readFileSync } from 'node:fs';
import type { Loaded } from '../config/load.js';
import { clusterStats } from '../core/cluster-stats.js';
import type { Effect } from '../core/effects.js';
import type { Worker } from '../core/model.js';
import type { WorkerSettings } from '../ipc/settings.js';
import { sortSockets } from '../supervisor/passed-sockets.js';
import type { Supervisor } from '../supervisor/supervisor.js';
import { withoutSupervisor } from '../supervisor/supervisor.js';
import { banner } from '../telemetry/banner.js';
import type { LazyLog } from '../telemetry/lazy-log.js';
import { adviceFor } from './advice.js';
import { announceReady } from './announce.js';
import { type CommandCentre, createCommands } from './commands.js';
import { controlDoor } from './control-door.js';
import { createHandOver } from './hand-over.js';
import { type History, openHistory } from './history.js';
import { keepOpen } from './keep-open.js';
import { clearStaleSocket, listenTarget } from './listen-target.js';
import { createMailbox, type Mailbox } from './mailbox.js';
import { deferred, lazy, once } from './once.js';
import { beatInterval, policyOf } from './policy.js';
import { createPool, type Launch, type Pool } from './pool.js';
import { noReaper, startReaper } from './reaper.js';
import { createReleases, type Release, type Releases } from './releases.js';
import { onSignals, terminalWatch } from './signals.js';

export interface ServeOptions {
  readonly loaded: Loaded;
  /** Reads the configuration anew, for a reload. */
  readonly load: () => Promise<Loaded>;
  readonly supervisor: Supervisor;
  readonly log: LazyLog;
  readonly version: string;
  /** CPUs that the process may use. */
  readonly cpus: number;
  /** Writes the start-up banner; null where nobody would read it. */
  readonly printBanner: ((text: string) => void) | null;
}

/**
 * The composition root of the master. Resolves to the exit status once the service has ended.
 *
 * @throws RomAgentError where it cannot even begin
 */
export async function serve(options: ServeOptions): Promise<number> {
  const { loaded, load, supervisor, log } = options;
  const { config } = loaded;
  const sockets = sortSockets(supervisor.sockets);
  const listen = listenTarget(config, sockets.app);
  keepOpen(sockets.app.map(({ fd }) => fd));
  if (listen.kind === 'path') await clearStaleSocket(listen.path);
  const reaper = supervisor.reapsOrphans ? noReaper : startReaper({ limit: config.orphanTimeout });
  const releases = createReleases({ loaded, load, cwd: process.cwd(), env: process.env });
  const { promise, resolve } = deferred<number>();

  const mailbox: Mailbox = createMailbox({
    policy: () => policyOf(releases.of(newestGeneration(mailbox)).config, supervisor),
    seed: Math.floor(Math.random() * 2 ** 32),
    now,
    wake: oneTimer(),
    perform: (effect) => perform(effect, means),
    onChange: (before, after) => {
      centre.changed(before, after);
      if (config.sticky !== 'off') announceReady({ before, after }, pool.send);
      if (before.reload !== null && after.reload === null) releases.keep([after.generation]);
      // After READY, which it would delay; a start that takes its time can be looked at all the same.
      const isTime = after.life.phase === 'serving' || after.tickedAt > after.startedAt;
      if (isTime && before.life.phase !== 'stopping') openDoor();
    },
  });
  const pool = createPool({
    // Of passed sockets node:cluster hands nothing out.
    dispatch: listen.kind === 'fds' ? 'shared' : config.dispatch,
    post: mailbox.post,
    onPid: (pid, alive) => (alive ? reaper.watch(pid) : reaper.forget(pid)),
    onHandOn: (key, message, connection) => handOver.receive(key, message, connection),
    onGone: (key) => handOver.gone(key),
    onEvidence: () => {},
    onMalformed: (key, reason) => log.warn('a worker sent a malformed message', { key, reason }),
    onStatsRequest: (key, id) => pool.send(key, { type: 'stats', id, stats: stats() }),
  });
  const handOver = createHandOver({
    ready: () => leastBusyFirst(mailbox.state().workers.filter(({ phase }) => phase === 'ready')),
    isAlive: (key) => mailbox.state().workers.some((worker) => worker.key === key),
    hand: pool.hand,
  });
  const history = lazy(() =>
    openHistory({ dir: config.stateDir, onProblem: (message, error) => log.warn(message, { error }) }),
  );
  const stats = () => statsOf(mailbox, options, history());
  const centre = createCommands({
    post: mailbox.post,
    status: stats,
    releases,
    history,
    generation: () => mailbox.state().generation,
    clock: Date.now,
    onRefused: (reason, by) => log.warn(`refused: ${reason}`, { by }),
    onNeedRestart: (settings) =>
      log.warn(`changed in the configuration, but in effect only after a restart: ${settings.join(', ')}`),
  });
  const openDoor = once(() =>
    setImmediate(() => {
      // Read by the time at which somebody asks.
      history();
      void door.open();
    }),
  );
  const door = controlDoor({
    path: config.controlSocket,
    inherited: sockets.control,
    commands: centre.commands,
    version: options.version,
    log,
  });
  const means: Means = { options, listen, pool, releases, centre, end: resolve };
  const forgetSignals = onSignals(process, {
    post: mailbox.post,
    commands: centre.commands,
    terminalGone: terminalWatch(process.stdout),
  });
  mailbox.post({ type: 'start' });
  const advices = adviceFor({
    dispatch: config.dispatch,
    passed: listen.kind === 'fds',
    readFile: (path) => readFileSync(path, 'utf8'),
  });
  for (const advice of advices) log.warn(advice);
  const exitCode = await promise;
  forgetSignals();
  await Promise.all([door.close(), history.used()?.settled()]);
  reaper.dismiss();
  return exitCode;
}

interface Means {
  readonly options: ServeOptions;
  readonly listen: WorkerSettings['listen'];
  readonly pool: Pool;
  readonly releases: Releases;
  readonly centre: CommandCentre;
  readonly end: (exitCode: number) => void;
}

function perform(effect: Effect, means: Means): void {
  const { options, pool, releases, centre, end } = means;
  const { supervisor, log } = options;
  switch (effect.type) {
    case 'fork': {
      const release = releases.of(effect.generation);
      return pool.fork(effect.key, settingsOf(release, effect.slot, means), launchOf(release));
    }
    case 'drain':
      return pool.send(effect.key, { type: 'drain', timeout: effect.timeout, last: effect.last });
    case 'release':
      return pool.send(effect.key, { type: 'release' });
    case 'hand-on':
      return pool.send(effect.key, { type: 'hand-on', to: effect.to, count: effect.count });
    case 'ask-beat':
      return pool.send(effect.key, { type: 'beat' });
    case 'probe':
      return pool.send(effect.key, { type: 'probe', path: effect.path, timeout: effect.timeout });
    case 'promote':
      return pool.send(effect.key, { type: 'promote', slot: effect.slot });
    case 'prove':
      return pool.send(effect.key, { type: 'prove', timeout: effect.timeout });
    case 'block':
      return pool.send(effect.key, { type: 'block', requests: effect.requests });
    case 'capture':
      return;
    case 'kill':
      return pool.kill(effect.key);
    case 'notify': {
      const { type, reloading, ...rest } = effect;
      const notification = reloading ? { ...rest, reloading: monotonicMicros() } : rest;
      return supervisor.notify(notification);
    }
    case 'log':
      return log[effect.level](effect.message, effect.fields);
    case 'serving':
      return printBanner(options, effect.urls);
    case 'answer':
    case 'step':
    case 'record':
      return centre.perform(effect);
    case 'exit':
      return end(effect.code);
  }
}

/** The one on trial, while there is one. */
function newestGeneration(mailbox: Mailbox): number {
  const { reload, generation } = mailbox.state();
  return reload === null || reload.stage.name === 'rollback' ? generation : reload.target;
}

function settingsOf({ config }: Release, worker: number, { options, listen }: Means): WorkerSettings {
  const { version, cpus } = options;
  const { app, mode, dispatch, sticky, stickyCookie, linger, orphanTimeout, websockets, routesPrefix, log } =
    config;
  return {
    app,
    mode,
    dispatch,
    sticky,
    stickyCookie,
    linger,
    orphanTimeout,
    websockets,
    routesPrefix,
    log,
    worker,
    beatInterval: beatInterval(config),
    healthProbe: config.health.probe,
    version,
    cpus,
    listen,
  };
}

/** What the app finds in its environment: PORT and HOST as configured, and nothing that was meant for the master. */
function launchOf({ config, cwd }: Release): Launch {
  const { dotenv, port, host, nodeEnv } = config;
  const own = { PORT: String(port), NODE_ENV: nodeEnv, ...(host === null ? {} : { HOST: host }) };
  return { config, cwd, env: { ...dotenv, ...withoutSupervisor(process.env), ...own } };
}

function printBanner({ loaded, version, printBanner }: ServeOptions, urls: readonly string[]): void {
  const { mode, workers } = loaded.config;
  const colour = process.env.NO_COLOR === undefined;
  printBanner?.(banner({ name: 'ROM Agent', version, mode, workers, urls, pid: process.pid, colour }));
}

function statsOf(mailbox: Mailbox, { loaded, version }: ServeOptions, { records }: History) {
  const master = { pid: process.pid, version, node: process.version, rss: process.memoryUsage.rss() };
  const { mode } = loaded.config;
  return clusterStats(mailbox.state(), { now: now(), mode, master, records: records() });
}

function leastBusyFirst(workers: readonly Worker[]): readonly Worker[] {
  return [...workers].sort((a, b) => (a.beat?.kept ?? 0) - (b.beat?.kept ?? 0));
}

function now(): number {
  return Math.round(performance.now());
}

/** CLOCK_MONOTONIC, as sd_notify(3) wants it with RELOADING=1. */
function monotonicMicros(): bigint {
  return process.hrtime.bigint() / 1000n;
}

function oneTimer(): (after: number, callback: () => void) => void {
  let timer: NodeJS.Timeout | undefined;
  return (after, callback) => {
    clearTimeout(timer);
    timer = setTimeout(callback, after);
  };
}
