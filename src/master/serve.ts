import { setTimeout as sleep } from 'node:timers/promises';
import type { Loaded } from '../config/load.js';
import { ownPolicy } from '../core/policy.js';
import type { Worker } from '../core/state.js';
import { clusterStats, publicStats } from '../core/stats.js';
import { exitCodes } from '../errors.js';
import { banner } from '../logging/banner.js';
import type { LazyLog } from '../logging/lazy-log.js';
import type { Output } from '../logging/output-file.js';
import { residentSet } from '../protocol/memory.js';
import { monotonic } from '../protocol/messages.js';
import { sortSockets } from '../service-manager/passed-sockets.js';
import type { Supervisor } from '../service-manager/supervisor.js';
import { createAddresses } from './addresses.js';
import { adviceFor } from './advice.js';
import { createAnnouncer, isHeard } from './announce.js';
import { createAppMessages } from './app-messages.js';
import { signalIfAlive, trackChildren } from './children.js';
import { after, afterReading, now, oneTimer } from './clock.js';
import { createCommands } from './commands.js';
import { controlDoor, slowStart } from './control-door.js';
import { createEvidence } from './evidence.js';
import { systemFiles } from './files.js';
import { createHandOver, endConnection } from './hand-over.js';
import { type History, openHistory } from './history.js';
import { createInTrouble } from './in-trouble.js';
import { keepOpen } from './keep-open.js';
import { clearStaleSocket, listenTarget } from './listen-target.js';
import type { LogSubjects } from './log-subjects.js';
import { createLooker } from './looker.js';
import { createMailbox, type Mailbox } from './mailbox.js';
import { findMarked } from './marked-processes.js';
import { deferred, lazy } from './once.js';
import { watchOomKills } from './oom-kills.js';
import { type Means, perform } from './perform.js';
import { policyInForce } from './policy.js';
import { createPool } from './pool.js';
import { readyLast } from './ready-last.js';
import { noReaper, startReaper } from './reaper.js';
import { createReleases } from './releases.js';
import { onSignals, ownTerminal } from './signals.js';
import { createSocketFiles } from './socket-files.js';
import { createWatches } from './watches.js';

export interface ServeOptions {
  readonly loaded: Loaded;
  /** Reads the configuration anew, for a reload. */
  readonly load: () => Promise<Loaded>;
  readonly supervisor: Supervisor;
  readonly log: LazyLog;
  /** Told of each change, so that entries of the log are found by worker and generation. */
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
 * The composition root of the master. Resolves to the exit status once the service has ended.
 *
 * @throws RomAgentError where it cannot even begin
 */
export async function serve(options: ServeOptions): Promise<number> {
  const { loaded, load, log } = options;
  const supervisor = readyLast(options.supervisor, { open: () => door.open(), after });
  const { config } = loaded;
  const sockets = sortSockets(supervisor.sockets);
  const listen = listenTarget(config, sockets.app);
  const socketFiles = createSocketFiles((path) =>
    log.debug(`the app had removed the file of its unix socket ${path}: it is there again`),
  );
  const { letGo } = keepOpen(
    sockets.app.map(({ fd }) => fd),
    undefined,
    socketFiles,
  );
  if (listen.kind === 'path') await clearStaleSocket(listen.path);
  const reaper = supervisor.reapsOrphans ? noReaper : startReaper({ limit: config.orphanTimeout });
  const releases = createReleases({ loaded, load, cwd: process.cwd(), env: process.env });
  const { promise, resolve } = deferred<number>();

  const inForce = policyInForce(supervisor.pingInterval);
  const workersInForce = () => mailbox.state().slots.length || config.workers;
  const policy = () =>
    inForce({ newest: newestGeneration(mailbox), releases: releases.all(), workers: workersInForce() });
  const mailbox: Mailbox = createMailbox({
    policy,
    seed: Math.floor(Math.random() * 2 ** 32),
    now,
    wake: oneTimer(),
    perform: (effect) => perform(effect, means),
    onFatal: (error, where) => {
      log.error('a bug in the master: draining the workers, then ending', { error, ...where });
      supervisor.notify({ stopping: true, status: `a bug in the master, at ${where.effect ?? where.event}` });
      void pool.endAll(config.drainTimeout).then(() => resolve(exitCodes.appFailed));
    },
    onChange: (before, after, event) => {
      options.subjects.changed(before, after);
      door.heard(event);
      centre.changed(before, after, event);
      if (config.sticky !== 'off') announce(after);
      if (before.reload !== null && after.reload === null) releases.keep([after.generation]);
    },
  });
  const pool = createPool({
    output: options.output,
    // Of passed sockets node:cluster hands nothing out.
    dispatch: listen.kind === 'fds' ? 'shared' : config.dispatch,
    post: mailbox.post,
    onPid: (pid, alive) => (alive ? reaper.watch(pid) : reaper.forget(pid)),
    onHandOn: (key, message, connection) => handOver.receive(key, message, connection),
    onListens: (key, message) => {
      const worker = workers().find((each) => each.key === key);
      if (worker !== undefined) addresses.heard(key, worker, message);
      for (const url of message.urls) socketFiles.check(url);
    },
    urls: () => addresses.urls(),
    onAppMessage: (key, message) => appMessages.receive(key, message),
    mark: (key) => children.mark(key),
    onGone: (key) => {
      children.left(key);
      appMessages.gone(key);
      addresses.gone(key);
      handOver.gone(key);
      evidence.gone(key);
    },
    onEvidence: (key, message) => evidence.receive(key, message),
    oomKills: () => oomKills()(),
    onMalformed: (key, reason) => log.warn('a worker sent a malformed message', { key, reason }),
    onStatsRequest: (key, id) => pool.send(key, { type: 'stats', id, stats: publicStats(stats()) }),
  });
  const children = trackChildren({
    find: findMarked,
    kill: signalIfAlive,
    sleep,
    info: log.info,
    warn: log.warn,
  });
  const appMessages = createAppMessages({ tell: pool.tell, warn: log.warn });
  const heard = (worker: Worker): boolean =>
    isHeard(worker, { now: now(), beatInterval: ownPolicy(policy(), worker).beatInterval });
  const addresses = createAddresses(log.warn);
  const announce = createAnnouncer({ send: pool.send, isHeard: heard });
  const oomKills = lazy(() => watchOomKills({ ...systemFiles, now }));
  const handOver = createHandOver({
    ready: () =>
      bestFirst(
        mailbox.state().workers.filter(({ phase }) => phase === 'ready'),
        heard,
      ),
    isAlive: (key) => mailbox.state().workers.some((worker) => worker.key === key),
    hand: pool.hand,
    send: pool.send,
    now: monotonic,
    after: afterReading,
    end: endConnection,
    onTrouble: createInTrouble({ warn: log.warn, after }),
  });
  const history = lazy(() =>
    openHistory({ dir: config.stateDir, onProblem: (message, error) => log.warn(message, { error }) }),
  );
  const stats = () => statsOf(mailbox, options, history());
  const workers = () => mailbox.state().workers;
  const looker = createLooker({
    after,
    workers,
    post: mailbox.post,
    witness: pool.witness,
    commandLines: config.redact === 'off',
  });
  const evidence = createEvidence({
    workers,
    send: pool.send,
    post: mailbox.post,
    capture: looker.look,
    stateDir: config.stateDir,
    clock: Date.now,
    onAsked: (what, fields) => log.info(what, fields),
    after,
  });
  const centre = createCommands({
    post: mailbox.post,
    status: stats,
    releases,
    history,
    evidence,
    generation: () => mailbox.state().generation,
    clock: Date.now,
    onRefused: (reason, by) => log.warn(`refused: ${reason}`, { by }),
    onNeedRestart: (settings) =>
      log.warn(`changed in the configuration, but in effect only after a restart: ${settings.join(', ')}`),
  });
  const door = controlDoor({
    path: config.controlSocket,
    inherited: sockets.control,
    commands: centre.commands,
    version: options.version,
    log,
  });
  const watches = createWatches({ config, supervisor, post: mailbox.post, log });
  const means: Means = {
    supervisor,
    log,
    surroundings: { version: options.version, cpus: options.cpus, listen, outputFile: options.outputFile },
    pool,
    workers: workersInForce,
    letGo,
    releases,
    centre,
    addresses,
    generation: () => mailbox.state().generation,
    captureWorker: looker.capture,
    onServing: (urls) => {
      // The banner's reader may use the control socket at once.
      void door.open().then(() => printBanner(options, urls));
      // After READY.
      setImmediate(() => {
        watches.begin();
        // Read by the time at which somebody asks.
        history();
        // While it is there: what is installed in place of a running service takes it away.
        void import('./capture/capture.js').catch(() => {});
      });
    },
    end: resolve,
  };
  const forgetSignals = onSignals(process, {
    post: mailbox.post,
    commands: centre.commands,
    terminal: ownTerminal(),
    now,
  });
  const { config: first, cwd, cwdFrom } = releases.of(1);
  if (first.app !== null) log.info(`the app is ${first.app}, its working directory ${cwd}: ${cwdFrom}`);
  mailbox.post({ type: 'start' });
  // What it counts from, once the workers are forked.
  setImmediate(oomKills);
  setImmediate(door.prepare);
  after(slowStart, () => void door.open());
  const advices = adviceFor({
    dispatch: config.dispatch,
    passed: listen.kind === 'fds',
    readFile: systemFiles.readFile,
  });
  for (const advice of advices) log.warn(advice);
  const exitCode = await promise;
  forgetSignals();
  watches.end();
  await children.settled();
  await Promise.all([door.close(), history.used()?.settled()]);
  reaper.dismiss();
  return exitCode;
}

/** The one on trial, while there is one. */
function newestGeneration(mailbox: Mailbox): number {
  const { reload, generation } = mailbox.state();
  return reload === null || reload.stage.name === 'rollback' ? generation : reload.target;
}

function printBanner({ loaded, version, printBanner }: ServeOptions, urls: readonly string[]): void {
  const { mode, workers } = loaded.config;
  const colour = process.env.NO_COLOR === undefined;
  printBanner?.(banner({ name: 'ROM Agent', version, mode, workers, urls, pid: process.pid, colour }));
}

function statsOf(mailbox: Mailbox, { loaded, version }: ServeOptions, { records }: History) {
  const master = { pid: process.pid, version, node: process.version, rss: residentSet() };
  const { mode } = loaded.config;
  return clusterStats(mailbox.state(), { now: now(), mode, master, records: records() });
}

/** Who has least to do, and before all others who answers. */
function bestFirst(workers: readonly Worker[], answers: (worker: Worker) => boolean): readonly Worker[] {
  return [...workers].sort(
    (a, b) => Number(answers(b)) - Number(answers(a)) || (a.beat?.kept ?? 0) - (b.beat?.kept ?? 0),
  );
}
