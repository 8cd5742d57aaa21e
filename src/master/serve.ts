import { totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Loaded } from '../config/load.js';
import { ownPolicy } from '../core/policy.js';
import type { State, Worker } from '../core/state.js';
import { clusterStats, publicStats } from '../core/stats.js';
import type { Ready } from '../core/workers.js';
import { exitCodes } from '../errors.js';
import { banner } from '../logging/banner.js';
import type { LazyLog } from '../logging/lazy-log.js';
import type { Output } from '../logging/output-file.js';
import { residentSet } from '../protocol/memory.js';
import { type ListensMessage, monotonic, type ReadyWorker, type WorkerKey } from '../protocol/messages.js';
import { sortSockets } from '../service-manager/passed-sockets.js';
import type { ServiceManager } from '../service-manager/service-manager.js';
import type { Config } from '../settings/config.js';
import { findMarked, signalIfAlive, trackChildren } from './children.js';
import { createCommands } from './commands.js';
import { controlDoor, holdReadyUntilOpen, slowStart } from './control-door.js';
import { createEvidence, createLooker } from './diagnostics/evidence.js';
import { createHandOver, createInTrouble, endConnection } from './hand-over.js';
import { openHistory } from './history.js';
import { adviceFor, clearStaleSocket, createSocketFiles, keepOpen, listenTarget } from './listen-sockets.js';
import type { LogSubjects } from './log-subjects.js';
import { createMailbox } from './mailbox.js';
import { watchMemory, watchOomKills } from './memory.js';
import { type Means, perform } from './perform.js';
import { policyInForce } from './policy.js';
import { createPool } from './pool.js';
import { noReaper, startReaper } from './reaper.js';
import { createReleases } from './releases.js';
import { createAddresses, createAnnouncer, createAppMessages, isHeard } from './siblings.js';
import { onSignals, ownTerminal } from './signals.js';
import { after, afterReading, now, oneTimer, systemFiles } from './system.js';
import { startWatchdog } from './watchdog-thread.js';

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
export async function serve(options: ServeOptions): Promise<number> {
  const parts = await build(options);
  const ended = connect(parts, options);
  return run(parts, options, ended);
}

type Parts = Awaited<ReturnType<typeof build>>;

/** The parts, each made from those before it. What a part says later, and to whom, is connected below. */
async function build({ loaded, load, log, version, output, serviceManager }: ServeOptions) {
  const { config } = loaded;
  const sockets = sortSockets(serviceManager.sockets);
  const listen = listenTarget(config, sockets.app);
  const socketFiles = createSocketFiles((path) =>
    log.debug(`the app removed the file of its unix socket ${path}: restored it`),
  );
  const passed = sockets.app.map(({ fd }) => fd);
  const { letGo } = keepOpen(passed, undefined, socketFiles);
  if (listen.kind === 'path') await clearStaleSocket(listen.path);
  const reaper = serviceManager.reapsOrphans ? noReaper : startReaper({ limit: config.orphanTimeout });
  const releases = createReleases({ loaded, load, cwd: process.cwd(), env: process.env });
  const history = lazy(() =>
    openHistory({ dir: config.stateDir, onProblem: (message, error) => log.warn(message, { error }) }),
  );

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
  const workers = () => state().workers;
  const generation = () => state().generation;
  const stats = () => {
    const master = { pid: process.pid, version, node: process.version, rss: residentSet() };
    return clusterStats(state(), {
      now: now(),
      kind: config.kind,
      mode: config.mode,
      master,
      records: history().records(),
    });
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
  const centre = createCommands({
    post,
    status: stats,
    releases,
    history,
    evidence,
    generation,
    clock: Date.now,
    onRefused: (reason, by) => warn(`refused: ${reason}`, { by }),
    onNeedRestart: (settings) =>
      warn(`changed in the configuration, but in effect only after a restart: ${settings.join(', ')}`),
  });
  const { commands } = centre;
  const door = controlDoor({
    path: config.controlSocket,
    inherited: sockets.control,
    commands,
    version,
    log,
  });
  return {
    config,
    listen,
    letGo,
    socketFiles,
    reaper,
    releases,
    history,
    mailbox,
    generation,
    workers,
    stats,
    children,
    oomKills,
    pool,
    appMessages,
    addresses,
    announce,
    handOver,
    looker,
    evidence,
    centre,
    door,
    serviceManager: holdReadyUntilOpen(serviceManager, { open: door.open, after }),
    watches: createWatches(() => [
      watchMemory({ ...systemFiles, totalmem, post }),
      watchEventLoop(config, { serviceManager, log }),
    ]),
  };
}

/** Says who hears of what. Resolves to the exit status that the service ends with. */
function connect(parts: Parts, options: ServeOptions): Promise<number> {
  const { config, listen, mailbox, pool, releases, centre, addresses, evidence, handOver, door } = parts;
  const { serviceManager, watches, history, stats } = parts;
  const { log, version, cpus, outputFile } = options;
  const { promise, resolve } = deferred<number>();
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
      failed: (key, message) => post({ ...message, key }),
      heartbeat: (key, message) => post({ ...message, key }),
      cut: (key, message) => post({ ...message, key }),
      closed: (key, message) => post({ ...message, key }),
      probed: (key, message) => post({ ...message, key }),
      drained: (key, message) => post({ ...message, key }),
      spare: (key, message) => post({ ...message, key }),
      current: (key, message) => post({ ...message, key }),
      proved: (key, message) => post({ ...message, key }),
      evidence: evidence.receive,
      'hand-on': handOver.receive,
      taken: handOver.receive,
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
    },
  });

  const means: Means = {
    serviceManager,
    log,
    surroundings: { version, cpus, listen, outputFile },
    pool,
    workers: () => workersInForce(mailbox.state(), config),
    letGo: parts.letGo,
    releases,
    centre,
    addresses,
    generation: parts.generation,
    captureWorker: parts.looker.capture,
    onServing: (urls) => {
      // The banner's reader may use the control socket at once.
      void door.open().then(() => printBanner(options, urls));
      // After READY.
      setImmediate(() => {
        watches.begin();
        // Reads the file before somebody asks.
        history();
        // While the file is there: an upgrade of a running service may remove it.
        void import('./diagnostics/capture.js').catch(() => {});
      });
    },
    end: resolve,
  };
  mailbox.connect({
    perform: (effect) => perform(effect, means),
    onChange: (before, after, event) => {
      options.subjects.changed(before, after);
      door.heard(event);
      centre.changed(before, after, event);
      if (config.sticky !== 'off') parts.announce(after, event);
      if (before.reload !== null && after.reload === null) releases.keep([after.generation]);
    },
    onFatal: (error, where) => {
      log.error('a bug in the master: draining the workers, then ending', { error, ...where });
      serviceManager.notify({
        stopping: true,
        status: `a bug in the master, at ${where.effect ?? where.event}`,
      });
      void pool.endAll(config.drainTimeout).then(() => resolve(exitCodes.appFailed));
    },
  });
  return promise;
}

/** From the first fork to the last exit. */
async function run(parts: Parts, { log }: ServeOptions, ended: Promise<number>): Promise<number> {
  const { config, listen, releases, mailbox, centre, door, history } = parts;
  const { post } = mailbox;
  const forgetSignals = onSignals(process, {
    post,
    commands: centre.commands,
    terminal: ownTerminal(),
    now,
  });
  const { config: first, cwd, cwdFrom } = releases.of(1);
  if (first.app !== null) log.info(`the app is ${first.app}, its working directory ${cwd}: ${cwdFrom}`);
  post({ type: 'start' });
  // Its first reading is the one it counts from; the forks come first.
  setImmediate(parts.oomKills);
  setImmediate(door.prepare);
  after(slowStart, () => void door.open());
  const passed = listen.kind === 'fds';
  const { dispatch } = config;
  for (const advice of adviceFor({ dispatch, passed, readFile: systemFiles.readFile })) log.warn(advice);
  const exitCode = await ended;
  forgetSignals();
  parts.watches.end();
  await parts.children.settled();
  await Promise.all([door.close(), history.used()?.settled()]);
  parts.reaper.dismiss();
  return exitCode;
}

/** Where this program's own files are: the stack of a hang is searched for the first frame that is the app's. */
const own = new URL('../', import.meta.url).href;

/** The number of workers that operators asked for last; before the start, what is configured. */
function workersInForce({ slots }: State, config: Config): number {
  return slots.length || config.workers;
}

/** The one on trial, while there is one. */
function newestGeneration({ reload, generation }: State): number {
  return reload === null || reload.stage.name === 'rollback' ? generation : reload.target;
}

/** Workers that are ready: those with a recent heartbeat before the others, then by their number of kept connections. */
function leastBusyFirst(
  workers: readonly Worker[],
  hasHeartbeat: (worker: Worker) => boolean,
): readonly ReadyWorker[] {
  return workers
    .filter((worker): worker is Ready => worker.phase === 'ready')
    .sort(
      (a, b) =>
        Number(hasHeartbeat(b)) - Number(hasHeartbeat(a)) ||
        (a.heartbeat?.kept ?? 0) - (b.heartbeat?.kept ?? 0),
    )
    .map(({ key, role }) => ({ key, slot: role.slot }));
}

/** What is watched besides the workers once the service serves. @param start begins it, and returns what ends it */
function createWatches(start: () => readonly (() => void)[]) {
  let ends: readonly (() => void)[] = [];
  return {
    begin: (): void => {
      ends = start();
    },
    end: (): void => {
      for (const end of ends) end();
    },
  };
}

function watchEventLoop(
  { health, log: config }: Config,
  { serviceManager, log }: Pick<ServeOptions, 'serviceManager' | 'log'>,
): () => void {
  return startWatchdog({
    // A service manager that is pinged watches the master itself.
    timeout: serviceManager.pingInterval === null ? health.masterTimeout : 0,
    config,
    onBegun: () => log.debug('a thread watches the event loop of the master'),
    onProblem: (error) =>
      log.warn('the watchdog thread ended: nothing watches the event loop of the master', { error }),
  });
}

function printBanner({ loaded, version, printBanner }: ServeOptions, urls: readonly string[]): void {
  const { mode, workers } = loaded.config;
  const colour = process.env.NO_COLOR === undefined;
  printBanner?.(banner({ name: 'ROM Agent', version, mode, workers, urls, pid: process.pid, colour }));
}

/** Made when it is first needed; `used` does not make it. */
function lazy<Value>(make: () => Value): { (): Value; used(): Value | null } {
  let value: Value | null = null;
  const get = (): Value => {
    value ??= make();
    return value;
  };
  return Object.assign(get, { used: () => value });
}

/** A promise and what settles it: Promise.withResolvers, which Node 20 lacks. */
function deferred<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
