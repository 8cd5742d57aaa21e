import { rm } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Loaded } from '../config/load.js';
import { ownPolicy } from '../core/policy.js';
import type { State, Worker } from '../core/state.js';
import { clusterStats, publicStats } from '../core/stats.js';
import { exitCodes } from '../errors.js';
import { banner } from '../logging/banner.js';
import type { LazyLog } from '../logging/lazy-log.js';
import type { Output } from '../logging/output-file.js';
import { cellSocketOf } from '../protocol/cell.js';
import { residentSet } from '../protocol/memory.js';
import { type ListensMessage, monotonic, type WorkerKey } from '../protocol/messages.js';
import type { TakeOver } from '../protocol/upgrade.js';
import { sortSockets } from '../service-manager/passed-sockets.js';
import type { ServiceManager } from '../service-manager/service-manager.js';
import { boundsOf } from '../settings/worker-count.js';
import { createAlerts, openNotifier } from './alerts.js';
import { findMarked, signalIfAlive, trackChildren } from './children.js';
import { createCommands } from './commands.js';
import { controlDoor, holdReadyUntilOpen } from './control-door.js';
import { createEvidence, createLooker, evidenceFolder } from './diagnostics/evidence.js';
import { createHandOver, createInTrouble, endConnection, leastBusyFirst } from './hand-over.js';
import { openHistory } from './history.js';
import { createMasterJobs } from './jobs.js';
import { lazyDeploys, recoverDeploy } from './lazy-deploys.js';
import { portsIn, readListenQueue } from './listen-queue.js';
import { clearStaleSocket, createSocketFiles, keepOpen, listenTarget } from './listen-sockets.js';
import { findLogSource } from './log-source.js';
import type { LogSubjects } from './log-subjects.js';
import { createMailbox } from './mailbox.js';
import { watchMemory, watchOomKills } from './memory.js';
import { createMetrics } from './metrics.js';
import { type Means, perform } from './perform.js';
import { newestGeneration, policyInForce, workersInForce } from './policy.js';
import { asEvents, createPool } from './pool.js';
import { noReaper, startReaper } from './reaper.js';
import { createRecentLog, type RecentLog } from './recent-log.js';
import { bugLine, openRecord } from './record.js';
import { createReleases } from './releases.js';
import { watchRequests } from './request-watch.js';
import { run } from './run.js';
import { createAddresses, createAnnouncer, createAppMessages, isHeard } from './siblings.js';
import { after, afterReading, lazy, now, oneTimer, systemFiles } from './system.js';
import { lazyUpgrades } from './upgrade/lazy-upgrades.js';
import { seamOf } from './upgrade/parts.js';
import { createGate, createSuccessor, type Gate, noSuccessor } from './upgrade/successor.js';
import {
  createWatches,
  type LazyFleet,
  lazyBackplane,
  lazyFleet,
  watchAdminServer,
  watchEventLoop,
} from './watches.js';

export interface ServeOptions {
  readonly loaded: Loaded;
  /** Reads the configuration anew, for a reload. */
  readonly load: () => Promise<Loaded>;
  readonly serviceManager: ServiceManager;
  readonly log: LazyLog;
  /** Hears of each change, so that the journal's entries have the fields of their worker. */
  readonly subjects: LogSubjects;
  readonly version: string;
  /** CPUs that the process may use. */
  readonly cpus: number;
  readonly output: Output;
  /** What the master has given whose place this one is to take; null: there is none. */
  readonly takeOver: TakeOver | null;
  /** The file of standard output that is followed through its rotation. */
  readonly outputFile: string | null;
  /** Writes the start-up banner; null where nobody would read it. */
  readonly printBanner: ((text: string) => void) | null;
}

/**
 * The composition root of the master: builds its parts, connects them, runs. Resolves to the exit status once the service
 * has ended.
 *
 * @throws RomAgentError where the service cannot start, such as a socket that is in use
 */
export async function serve(given: ServeOptions): Promise<number> {
  const { log, subjects, loaded } = given;
  const recent = createRecentLog({
    log,
    level: loaded.config.log.level,
    subject: subjects.of,
    clock: Date.now,
  });
  const gate = createGate(given.serviceManager, given.takeOver === null);
  const options = { ...given, log: recent.log, serviceManager: gate.serviceManager, gate };
  const parts = await build(options, recent);
  const ended = new Promise<number>((resolve) => connect(parts, options, resolve));
  return run(parts, options, ended);
}

export type Parts = Awaited<ReturnType<typeof build>>;

interface Given extends ServeOptions {
  readonly gate: Gate;
}

/** The parts, each made from those before it. What a part says later, and to whom, is connected below. */
async function build(
  { loaded, load, log, version, output, outputFile, serviceManager, takeOver, gate }: Given,
  recent: RecentLog,
) {
  const { config } = loaded;
  const sockets = sortSockets(takeOver?.passed ?? serviceManager.sockets);
  const listen = listenTarget(config, sockets.app);
  const socketFiles = createSocketFiles((path) =>
    log.debug(`the app removed the file of its unix socket ${path}: restored it`),
  );
  const passed = sockets.app.map(({ fd }) => fd);
  const kept = keepOpen(passed, undefined, socketFiles, takeOver?.listeners);
  if (listen.kind === 'path' && takeOver === null) await clearStaleSocket(listen.path);
  const reaper = serviceManager.reapsOrphans ? noReaper : startReaper({ limit: config.orphanTimeout });
  if (takeOver === null) await recoverDeploy(config, log);
  const releases = createReleases({ loaded, load, cwd: process.cwd(), env: process.env });
  const history = lazy(() =>
    openHistory({ dir: config.stateDir, onProblem: (message, error) => log.warn(message, { error }) }),
  );

  const record = openRecord({
    config,
    version,
    serviceManager,
    now,
    after,
    onProblem: (message, error) => log.warn(message, { error }),
  });

  const inForce = policyInForce(serviceManager.pingInterval);
  const policyFor = (state: State) =>
    inForce({
      newest: newestGeneration(state),
      releases: releases.all(),
      workers: workersInForce(state, config),
    });
  const seed = Math.floor(Math.random() * 2 ** 32);
  const mailbox = createMailbox({ policy: policyFor, seed, now, wake: oneTimer() });
  const { post, state } = mailbox;
  const successor =
    takeOver === null
      ? noSuccessor
      : createSuccessor({ takeOver, gate, about: { ...process, node: process.version, version }, state });
  const workers = () => state().workers;
  const generation = () => state().generation;
  const stats = () => {
    const stats = clusterStats(state(), {
      now: now(),
      ...{ kind: config.kind, mode: config.mode, workers: config.workers },
      master: { pid: process.pid, version, node: process.version, rssBytes: residentSet() },
      records: history().records(),
      deploys: deploys.summary(),
      costs: requests.costs(),
    });
    return jobs.inStats(stats);
  };

  const { info, warn } = log;
  const children = trackChildren({ find: findMarked, kill: signalIfAlive, sleep, info, warn });
  const oomKills = lazy(() => watchOomKills({ ...systemFiles, now }));
  const pool = createPool({
    output,
    // node:cluster does not hand out connections of sockets that were passed in.
    dispatch: listen.kind === 'fds' ? 'shared' : config.dispatch,
    post,
    onPid: (pid, alive) => (alive ? reaper.watch(pid) : reaper.forget(pid)),
    mark: children.mark,
    oomKills: () => oomKills()(),
  });
  const { send, hand, tell } = pool;

  const hasHeartbeat = (worker: Worker): boolean =>
    isHeard(worker, {
      now: now(),
      heartbeatInterval: ownPolicy(policyFor(state()), worker).heartbeatInterval,
    });
  const appMessages = createAppMessages({ tell, warn });
  const addresses = createAddresses(warn);
  const announce = createAnnouncer({ send, isHeard: hasHeartbeat });
  const handOver = createHandOver({
    ready: () => leastBusyFirst(workers(), hasHeartbeat),
    isAlive: (key) => workers().some((worker) => worker.key === key),
    hand,
    send,
    now: monotonic,
    after: afterReading,
    end: endConnection,
    onTrouble: createInTrouble({ warn, after }),
  });
  const looker = createLooker({
    after,
    workers,
    post,
    witness: pool.witness,
    own,
    commandLines: config.redact === 'off',
  });
  const evidence = createEvidence({
    workers,
    send,
    post,
    capture: looker.look,
    stateDir: config.stateDir,
    clock: Date.now,
    onAsked: info,
    after,
  });
  const notifier = openNotifier({
    settings: () => releases.of(generation()).config.notify,
    stateDir: config.stateDir,
    log: { info, warn },
  });
  const deploys = lazyDeploys({ config, load, log, observe: (seen) => notifier.observe(seen), after });
  const readQueue = () => readListenQueue(portsIn(addresses.urls()));
  const requests = watchRequests({ workers, post, now });
  const metrics = createMetrics({
    state,
    send,
    asksWorkers: config.metrics.enabled === 'on',
    about: { version, kind: config.kind, mode: config.mode, workers: config.workers },
    isWatched: serviceManager.pingInterval !== null,
    ...{ jobs: () => jobs.counters(), queues: (ms) => backplane.queues(ms), deploys, costs: requests.costs },
    readListenQueue: readQueue,
    now,
    clock: Date.now,
    after,
  });
  const backplane = lazyBackplane(config, { version, log });
  let fleet: LazyFleet | null = null;
  const jobs = createMasterJobs({
    release: () => releases.of(generation()),
    urls: addresses.urls,
    ...{ serviceManager, notifier, log, fleet: async () => fleet?.ready ?? null },
  });
  const upgrades = lazyUpgrades(() => seamOf(parts, { gate, log }), successor.isHeld);
  const centre = createCommands({
    post,
    upgrades,
    status: stats,
    releases,
    history,
    evidence,
    metrics: () => metrics.snapshot(),
    fleet: () => fleet?.now() ?? null,
    notifier,
    why: record.why,
    ...{ deploys: deploys.get, backplane, jobs: jobs.commands },
    evidenceFolder: evidenceFolder(config.stateDir),
    recent,
    logSource: () => findLogSource({ fd: output.fd, env: process.env, dir: config.log.dir, outputFile }),
    generation,
    clock: Date.now,
    onRefused: (reason, by) => warn(`refused: ${reason}`, { by }),
    onNeedRestart: (settings) =>
      warn(`changed in the configuration, but in effect only after a restart: ${settings.join(', ')}`),
  });
  const { commands } = centre;
  fleet = lazyFleet(config, {
    log,
    backplane: backplane.load,
    stats,
    release: () => releases.of(generation()).config.app,
    commands: () => commands,
  });
  const door = controlDoor({
    path: config.controlSocket,
    inherited: sockets.control,
    commands,
    version,
    log,
  });
  const parts = {
    ...{ config, listen, sockets, kept, socketFiles, reaper, releases, successor, upgrades, policyFor },
    ...{ history, record, mailbox, generation, workers, stats },
    children,
    oomKills,
    pool,
    appMessages,
    ...{ addresses, announce, handOver, looker },
    ...{ evidence, metrics, readQueue, requests, notifier, jobs, deploys, centre },
    ...{ door, backplane, fleet },
    serviceManager: holdReadyUntilOpen(serviceManager, {
      open: async () => (successor.isHeld() ? undefined : door.open()),
      after,
    }),
    /** Another master has taken the place of this one. */
    left: { isSo: false },
    watches: createWatches(() => [
      watchAdminServer(config, { version, log }),
      watchMemory({ ...systemFiles, totalmem, post }),
      watchEventLoop(config, { serviceManager, log }),
      backplane.end,
      fleet.begin(),
    ]),
  };
  return parts;
}

/** Says who hears of what. @param end is told the exit status that the service ends with */
function connect(parts: Parts, options: ServeOptions, end: (exitCode: number) => void): void {
  const { config, listen, mailbox, pool, releases, centre, addresses, evidence, handOver, door } = parts;
  const { serviceManager, watches, history, record, stats, metrics, readQueue } = parts;
  const { log, version, cpus, outputFile } = options;
  const { post } = mailbox;

  const listens = (key: WorkerKey, message: ListensMessage): void => {
    const worker = parts.workers().find((each) => each.key === key);
    // Where an app that is no server listens beside, such as for its metrics, is each worker's own.
    if (worker !== undefined && listen.kind !== 'none') addresses.heard(key, worker, message);
    for (const url of message.urls) parts.socketFiles.check(url);
  };
  pool.connect({
    messages: {
      ready: (key, message) => {
        listens(key, message);
        post({ type: 'ready', key, urls: addresses.urls() });
      },
      listens,
      ...asEvents(post),
      // The core decides by what came of a request, and sees neither its query nor its headers.
      sample: (_, { to, ...sample }) => pool.send(to, { ...sample, type: 'mirror-ask' }),
      stall: (key, { stall }) => post({ type: 'stalled', key, stall }),
      ...parts.requests.messages,
      evidence: evidence.receive,
      'hand-on': (key, message, connection) => {
        metrics.moved();
        handOver.receive(key, message, connection);
      },
      taken: handOver.receive,
      'metrics-request': (key, { id }) =>
        void metrics
          .snapshot(sharedFor)
          .then((snapshot) => pool.send(key, { type: 'metrics-snapshot', id, snapshot })),
      metrics: metrics.received,
      'want-backplane': parts.backplane.want,
      'fleet-request': (key, { id }) =>
        void parts.fleet.tell((fleet) => pool.send(key, { type: 'fleet', id, fleet })),
      'stats-request': (key, { id }) => pool.send(key, { type: 'stats', id, stats: publicStats(stats()) }),
    },
    onMalformed: (key, reason) => log.warn('a worker sent a malformed message', { key, reason }),
    onAppMessage: parts.appMessages.receive,
    onGone: (key) => {
      parts.children.left(key);
      parts.appMessages.gone(key);
      addresses.gone(key);
      handOver.gone(key);
      evidence.gone(key);
      metrics.gone(key);
      void rm(cellSocketOf(config.controlSocket, key), { force: true });
    },
  });

  const means: Means = {
    serviceManager,
    log,
    surroundings: { version, cpus, listen, outputFile },
    pool,
    workers: () => workersInForce(mailbox.state(), config),
    // Where the master accepts, the queue says how busy the master is.
    readQueue: () =>
      config.dispatch === 'round-robin' ||
      void readQueue().then(({ waiting }) => post({ type: 'queue', waiting })),
    letGo: parts.kept.letGo,
    releases,
    centre,
    addresses,
    generation: parts.generation,
    captureWorker: parts.looker.capture,
    onServing: (urls) => {
      // The banner's reader may use the control socket at once.
      parts.successor.later(() => void door.open().then(() => printBanner(options, urls)));
      // After READY.
      const begin = (): void => {
        watches.begin();
        parts.deploys.schedule(config);
        // Reads the file before somebody asks.
        history();
        record.begin();
        parts.jobs.begin();
        // While the file is there: an upgrade of a running service may remove it.
        void import('./diagnostics/capture.js').catch(() => {});
        void parts.upgrades.get().catch(() => {});
      };
      parts.successor.later(() => setImmediate(begin));
    },
    end,
  };
  const alerts = createAlerts(parts.notifier);
  mailbox.connect({
    onTurn: (turn) => parts.left.isSo || record.heard({ ...turn, clockMs: Date.now() }),
    perform: (effect) => {
      metrics.performed(effect);
      parts.successor.performed(effect);
      perform(effect, means);
    },
    onChange: (before, after, event) => {
      options.subjects.changed(before, after);
      metrics.changed(before, after, event);
      if (!parts.successor.isHeld()) door.heard(event);
      centre.changed(before, after, event);
      parts.successor.changed(before, after);
      parts.upgrades.changed(after);
      if (!parts.left.isSo) alerts.changed(before, after, event);
      parts.jobs.changed(before, after, event);
      if (config.sticky !== 'off') parts.announce(after, event);
      if (before.reload !== null && after.reload === null) {
        releases.keep([after.generation]);
        parts.deploys.schedule(releases.of(after.generation).config);
      }
    },
    onFatal: (error, where) => {
      log.error('a bug in the master: draining the workers, then ending', { error, ...where });
      record.add(bugLine(error, where));
      const status = `a bug in the master, at ${where.effect ?? where.event}`;
      serviceManager.notify({ stopping: true, status });
      parts.notifier.observe({ type: 'ending', cause: 'a bug in the master', exitCode: exitCodes.appFailed });
      void pool.endAll(config.drainTimeout).then(() => end(exitCodes.appFailed));
    },
  });
}

/** Where this program's own files are: the stack of a hang is searched for the first frame that is the app's. */
const own = new URL('../', import.meta.url).href;

/** Anybody may ask over HTTP, but the workers are asked no more often than this, ms. */
const sharedFor = 1_000;

function printBanner({ loaded, version, printBanner }: ServeOptions, urls: readonly string[]): void {
  const { mode } = loaded.config;
  const workers = boundsOf(loaded.config.workers).min;
  const colour = process.env.NO_COLOR === undefined;
  printBanner?.(banner({ name: 'ROM Agent', version, mode, workers, urls, pid: process.pid, colour }));
}
