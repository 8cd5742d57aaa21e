import cluster from 'node:cluster';
import type { Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Worker as Thread } from 'node:worker_threads';
import { guardOutput } from '../logging/lost-output.js';
import { noteFastify } from '../metrics/router-pattern.js';
import { RequestTally } from '../metrics/tally.js';
import { lastAnswers } from '../protocol/limits.js';
import { numberVariables, type WorkerSettings } from '../protocol/settings.js';
import type { AccessLog } from './access-log/access-log.js';
import { createFailing, onUncaught } from './app/fail.js';
import { hostApp } from './app/host.js';
import { type HeldListeners, holdListeners, listenCallsOf } from './app/listen-calls.js';
import { createOperations } from './app/operations.js';
import { runProcess } from './app/run-process.js';
import {
  exposeBackplane,
  keepListeners,
  keepTickShape,
  ownSockets,
  ownUdpPorts,
} from './app/surroundings.js';
import {
  addressOf,
  isPassed,
  isTarget,
  isWorkerPort,
  listenOnRest,
  redirectToPassed,
  serversBeside,
  targetFirst,
  watchDeaf,
} from './app/target.js';
import { openWorkerPort } from './app/worker-port.js';
import { openChannel } from './channel.js';
import { collectorOf } from './collector.js';
import { redacted, whole } from './connections/current-requests.js';
import {
  createAccepting,
  descriptorLimit,
  guardDescriptors,
  openDescriptors,
} from './connections/descriptors.js';
import { keepAliveFor, shortestKeepAlive } from './connections/keep-alive.js';
import { trackServers, urlOf } from './connections/servers.js';
import { deferred } from './deferred.js';
import { createDrainer } from './drain/drain.js';
import { createShutdown, noDrainer, shelterSignals, tellClosed } from './drain/shutdown.js';
import { createBlockedRequests } from './health/blocked.js';
import { createChecks } from './health/check.js';
import { createHeartbeats } from './health/heartbeats.js';
import { report, witness } from './health/reports.js';
import { restOf } from './health/rest.js';
import { followTurns } from './health/turns.js';
import { currentOf, exposeCurrent } from './health/witness.js';
import { createWork } from './health/work.js';
import { isAccepting } from './node-internals/listening.js';
import { readBeforeTimeouts } from './node-internals/sockets.js';
import type { Order } from './orders.js';
import { obey } from './orders.js';
import { createHandOn } from './transfer/hand-on.js';
import { createMoving } from './transfer/moving.js';
import { createSticky } from './transfer/sticky.js';
import { followWithStreams, workerLog } from './worker-log.js';

export interface Means {
  /** See heap-flags.ts. */
  readonly showHeapFlags: () => void;
}

/** What few workers need; null: this one does not. */
interface Loaded {
  readonly createShed: typeof import('./shed/shed.js').createShed | null;
  readonly createCell: typeof import('./cell/cell.js').createCell | null;
}

/** The composition root of a worker: it connects all parts before the app's first line runs. */
export async function serve(settings: WorkerSettings, means: Means): Promise<void> {
  // Before the parts are built: the app begins a turn later. Where it is off, nothing of it is loaded.
  const accessLog = settings.accessLog.format === 'off' ? null : await import('./access-log/access-log.js');
  const { shed } = settings;
  const createShed =
    shed.eventLoopDelay === 0 && shed.inFlight === 0 ? null : (await import('./shed/shed.js')).createShed;
  const createCell = settings.cell === null ? null : (await import('./cell/cell.js')).createCell;
  const parts = build(settings, { ...means, createShed, createCell });
  connect(parts, accessLog?.openAccessLog(settings, parts.log) ?? null);
  await run(parts);
}

/** Makes all parts, each from those above it. No part does anything yet that another one would have to know of. */
function build(settings: WorkerSettings, { showHeapFlags, createShed, createCell }: Means & Loaded) {
  process.execArgv = [...settings.execArgv];
  process.argv.splice(2, Number.POSITIVE_INFINITY, ...settings.args);
  keepTickShape();
  readBeforeTimeouts();
  const log = workerLog(settings, followWithStreams(settings.outputFile, process));
  const output = guardOutput(process, (name) =>
    log.warn(
      `nobody reads ${name === 'stdout' ? 'standard output' : 'standard error'}: what is written to it is lost`,
    ),
  );
  const exit = (code: number): void => void log.close().finally(() => process.exit(code));
  const channel = openChannel(process);
  const signals = shelterSignals(process);
  const isProcess = settings.kind === 'process';
  const state = {
    ...{ draining: false, last: false, ready: false, leaving: false },
    worker: settings.worker,
    /** Of a spare, and of a canary that is mirrored. */
    held: null as HeldListeners | null,
  };
  const isServing = (): boolean => state.ready && !state.draining;
  const tally = settings.metrics.enabled === 'on' ? new RequestTally() : null;
  if (tally !== null) noteFastify();
  const servers = trackServers({ tellPath: settings.redact === 'on' ? redacted : whole }, tally);
  const shed = createShed?.({ settings, servers }) ?? null;
  const collector = tally === null ? null : collectorOf({ settings, servers, tally, shed });
  const moving = createMoving({
    settings,
    // Only the first worker says so: all workers run the same Node and the same app.
    say: (message, isAsked) => (state.worker === 1 ? log[isAsked ? 'warn' : 'info'](message) : undefined),
  });
  const handOn = createHandOn({ channel, moving });
  const sticky = createSticky({ settings, handOn });
  const drainer = createDrainer(servers, {
    linger: settings.linger,
    closeWebSockets: settings.websockets === 'close',
    beside: (listening) => serversBeside(listening, settings.listen),
    elsewhere: {
      leave: (socket) => !state.last && handOn.leave(socket, state.worker),
      underWay: () => handOn.underWay(),
    },
  });
  const shutdown = createShutdown({
    servers,
    drainer: isProcess ? noDrainer : drainer,
    isHanded: settings.dispatch === 'round-robin',
    signals,
    channel,
    exit,
    onError: (message, error) => log.error(message, { error }),
    onWarning: log.warn,
  });
  const failing = createFailing({
    channel,
    isServing,
    isDraining: () => state.draining,
    tellCurrent: () => tellCurrent({ servers, channel }),
    answerWhatIsIn: async () => {
      state.draining = true;
      if (isProcess) return;
      handOn.stop();
      sticky.stop();
      const closed = (): Promise<void> => tellClosed({ servers, channel });
      await drainer.drain({ last: false, timeout: lastAnswers, closed });
      await channel.send({ type: 'drained' });
    },
    exit,
  });
  const descriptors = guardDescriptors({
    servers,
    accepting: createAccepting((server) => {
      // A worker without a listener is replaced, but not at a stop, when the master has no socket left to give.
      if (!state.draining && isAccepting(server))
        void failing.fail(new Error('the master has not given the listening socket back'));
    }),
    limit: descriptorLimit,
    open: openDescriptors,
    now: () => performance.now(),
    after: (delay, act) => void (delay === 0 ? setImmediate(act) : setTimeout(setImmediate, delay, act)),
    warn: log.warn,
  });
  const turns = followTurns({ interval: settings.heartbeatInterval });
  const { check: path, checkInterval: interval, checkTimeout } = settings.health;
  const checks = createChecks({
    ...{ path, interval, timeout: checkTimeout, isServing },
    ask: async (question) =>
      (await import('./health/probe.js')).probe({ servers, listen: settings.listen }, question),
  });
  const rest = restOf(settings, turns);
  const work =
    collector === null || tally === null || isProcess
      ? null
      : createWork({
          ...{ tally, collector, interval: settings.heartbeatInterval, isServing },
          tell: (work) => void channel.send({ type: 'worked', ...work }),
        });
  const heartbeats = createHeartbeats({
    servers,
    turns,
    kept: handOn.kept,
    send: (heartbeat) => {
      descriptors.measure();
      void channel.send({ type: 'heartbeat', heartbeat });
    },
    check: checks.report,
    shed: () => shed?.report(),
    keepAliveTimeout: () => shortestKeepAlive(servers.listening()),
    onDelay: (delay) => collector?.delayed(delay),
    onBeat: () => {
      rest.beat();
      work?.beat();
    },
    interval: settings.heartbeatInterval,
  });
  const blocked = createBlockedRequests({ servers, now: () => performance.now() });
  const operations = createOperations({
    settings,
    worker: () => state.worker,
    channel,
    ready: () => isServing() && !state.leaving,
    log,
  });
  if (isProcess && settings.worker !== null) ownSockets(settings.worker);
  const cell = createCell?.(settings) ?? null;
  const { lend, waited } = cell ?? listenCallsOf(settings, { channel, info: log.info });
  const boot = isProcess
    ? runProcess({
        settings,
        channel,
        onLoaded: showHeapFlags,
        onFailure: (error) => void failing.fail(error),
      })
    : hostApp({
        settings,
        servers,
        channel,
        operations,
        lend,
        onWarning: log.warn,
        onLoaded: showHeapFlags,
      });
  const drain = ({ timeout, last, patience = 0 }: Order<'drain'>): void => {
    cell?.close();
    state.draining = true;
    state.last = last;
    handOn.stop();
    sticky.stop();
    heartbeats.start({ withBytes: true });
    // The service manager keeps a passed socket open: no connection of its queue can be lost.
    shutdown.begin({ timeout, patience, last: last && !servers.listening().every(isPassed) });
  };
  return {
    settings,
    log,
    output,
    channel,
    state,
    isServing,
    servers,
    shed,
    tally,
    collector,
    moving,
    handOn,
    sticky,
    drainer,
    shutdown,
    failing,
    descriptors,
    turns,
    heartbeats,
    checks,
    blocked,
    operations,
    boot,
    cell,
    waited,
    drain,
    promotion: deferred<number>(),
  };
}

export type Parts = ReturnType<typeof build>;

/** Connects the parts with what happens: to the servers, on the channel, to the process. */
function connect(parts: Parts, accessLog: AccessLog | null): void {
  const { settings, log, channel, state, servers, output, boot, drain } = parts;
  const { drainer, handOn, sticky, operations, blocked, shed, descriptors, heartbeats, failing } = parts;
  servers.observe({
    onListen: (server, options) => {
      redirectToPassed({ server, options }, settings.listen);
      operations.mount(server as Server);
      blocked.mount(server);
      shed?.mount(server);
      accessLog?.onListen(server);
    },
    onListening: (server) => {
      keepAliveFor(server, settings.keepAliveTimeout);
      handOn.onListening(server);
      // Who connects there wants this worker.
      if (isWorkerPort(server)) return;
      sticky.onListening(server);
      if (state.ready) {
        log.debug(`the app also listens on ${urlOf(server)}`);
        // The server does not know its address before the next turn.
        setImmediate(() => void channel.send({ type: 'listens', ...whereIn(parts) }));
      }
      boot.wake();
    },
    onPending: boot.pending,
    onAccepted: (open, newest) => {
      descriptors.accepted(open, newest);
      shed?.accepted(newest);
    },
    onRequest: (response, connection) => {
      drainer.onRequest(response, connection.socket);
      handOn.onRequest(response, connection);
      sticky.onRequest(response, connection.socket);
    },
    onAnswered: (response, connection) => {
      drainer.onAnswered(response);
      handOn.onAnswered(response, connection);
    },
    onUpgraded: (socket, request) => {
      handOn.onUpgraded(socket);
      if (request !== undefined) accessLog?.onUpgraded(socket, request);
    },
  });
  handOn.onChange(heartbeats.now);
  exposeCurrent(process, servers);
  obey(parts);
  orphaned(() => {
    const { orphanTimeout: timeout } = settings;
    log.warn('the master is gone: finishing what is under way, then ending', { limitMs: timeout });
    drain({ type: 'drain', timeout, last: false });
  });
  onUncaught(process, (error) => void failing.fail(error));
  process.on('exit', () => {
    // Requests that a drain leaves behind are reported as cut.
    if (!state.draining) tellCurrent(parts);
    if (parts.collector !== null)
      void channel.send({ type: 'metrics', id: 0, metrics: parts.collector.collect() });
    if (output.count() > 0) log.warn('output of the app was lost', { writes: output.count() });
    log.flush();
  });
  exposeBackplane(() => void channel.send({ type: 'want-backplane' }));
  keepListeners(process);
  ownUdpPorts();
}

/** Leads the worker from the app's first line to ready. */
async function run(parts: Parts): Promise<void> {
  const { settings, channel, state, isServing, servers, moving, heartbeats, boot, failing, waited } = parts;
  let thread: Promise<Thread | null> | null = null;
  let since = 0;
  try {
    if (settings.worker === null && parts.cell === null) {
      ({ thread } = await standBy(parts, holdListeners()));
      since = performance.now();
    }
    await boot.done;
    await listenOnRest(servers.listening(), settings.listen);
    await openWorkerPort({ settings, worker: state.worker, servers, warn: parts.log.warn });
    if (settings.start.probe !== null) await answerFirst(parts, settings.start.probe, since + waited());
  } catch (error) {
    return failing.fail(error);
  }
  await parts.cell?.open(servers);
  if (state.draining) return;
  state.ready = true;
  await channel.send({ type: 'ready', ...whereIn(parts) });
  // A drain may have begun meanwhile.
  if (state.draining) return;
  heartbeats.start({ withBytes: false });
  if (settings.worker !== null) thread = witness(parts);
  void report(parts, { thread, own });
  failing.prepare();
  if (settings.kind === 'process') return;
  void moving.begin();
  parts.checks.begin();
  watchDeaf({
    servers,
    listen: settings.listen,
    isServing,
    onDeaf: (error) => void failing.retire(error),
    every: heartbeats.every,
  });
}

/** @param since when the boot began, ms since the process started, without the wait for a port */
async function answerFirst(
  { settings, servers, state, log }: Parts,
  path: string,
  since: number,
): Promise<void> {
  const { answersAtStart, probe } = await import('./health/probe.js');
  const took = await answersAtStart(
    { path, until: since + settings.probeWait },
    {
      ask: (question) => probe({ servers, listen: settings.listen }, question),
      isDraining: () => state.draining,
    },
  );
  if (took !== null) log.debug(`GET ${path} was answered in ${took} ms: ready`);
}

/** Keeps a spare booted without listening, until the master gives it a slot. */
async function standBy(
  parts: Parts,
  listeners: HeldListeners,
): Promise<{ readonly thread: Promise<Thread | null> | null }> {
  const { channel, state, log, heartbeats, boot, promotion } = parts;
  state.held = listeners;
  await Promise.race([boot.done, listeners.held]);
  // What the app itself waits for need not keep the process running.
  channel.ref();
  await channel.send({ type: 'spare' });
  heartbeats.start({ withBytes: false });
  const thread = witness(parts);
  state.worker = await promotion.promise;
  log.setWorker(state.worker);
  Object.assign(process.env, numberVariables(state.worker));
  state.held = null;
  listeners.open();
  return { thread };
}

/** This program's own files: a path, since the packed ones are CommonJS. */
const own = fileURLToPath(new URL('../', import.meta.url));

/** Where the app listens at this moment. */
function whereIn({ servers, settings }: Pick<Parts, 'servers' | 'settings'>) {
  const listening = servers.listening().filter((server) => !isWorkerPort(server));
  const sorted = targetFirst(
    listening.map((server) => ({ server })),
    settings.listen,
  );
  return {
    urls: sorted.map(({ server }) => addressOf(server)),
    onTarget: listening.some((server) => isTarget(server, settings.listen)),
  };
}

/** Tells the master which requests are in flight, so that it can say later which were lost. */
function tellCurrent({ servers, channel }: Pick<Parts, 'servers' | 'channel'>): void {
  const current = currentOf(servers);
  if (current.inFlight > 0) void channel.send({ type: 'current', ...current });
}

/**
 * Calls `handle` when the master is gone. Without the mark below, node:cluster would end the worker at once, with its
 * requests.
 */
function orphaned(handle: () => void): void {
  const { worker } = cluster;
  if (worker === undefined) throw new Error('a worker is started by the master only');
  worker.exitedAfterDisconnect = true;
  process.once('disconnect', handle);
}
