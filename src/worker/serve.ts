import cluster from 'node:cluster';
import type { Server } from 'node:http';
import { guardOutput } from '../logging/lost-output.js';
import { lastAnswers } from '../protocol/limits.js';
import { numberVariables, type WorkerSettings } from '../protocol/settings.js';
import { createFailing, onUncaught } from './app/fail.js';
import { hostApp } from './app/host.js';
import { type HeldListeners, holdListeners, redirectListens } from './app/listen-calls.js';
import { createOperations } from './app/operations.js';
import { shelterSignals } from './app/signals.js';
import { keepListeners, keepTickShape, ownUdpPorts } from './app/surroundings.js';
import {
  addressOf,
  isPassed,
  isTarget,
  listenOnRest,
  redirectToPassed,
  serversBeside,
  targetFirst,
} from './app/target.js';
import { openChannel } from './channel.js';
import { redacted, whole } from './connections/current-requests.js';
import { descriptorLimit, guardDescriptors, openDescriptors } from './connections/descriptors.js';
import { createAccepting } from './connections/pause-accepting.js';
import { type Servers, trackServers, urlOf } from './connections/servers.js';
import { deferred } from './deferred.js';
import { createDrainer } from './drain/drain.js';
import { createShutdown, tellClosed } from './drain/shutdown.js';
import { createBeats } from './health/beats.js';
import { createBlockedRequests } from './health/blocked.js';
import { watchDeaf } from './health/deaf.js';
import { runErrand } from './health/errands.js';
import { currentOf, exposeCurrent, startWitness } from './health/witness.js';
import { isAccepting } from './node-internals.js';
import { createHandOn } from './transfer/hand-on.js';
import { createMoving } from './transfer/moving.js';
import { createSticky } from './transfer/sticky.js';
import { followWithStreams, workerLog } from './worker-log.js';

export interface Means {
  /** See heap-flags.ts. */
  readonly showHeapFlags: () => void;
}

/** The composition root of a worker: everything is in place before the app's first line runs. */
export async function serve(settings: WorkerSettings, { showHeapFlags }: Means): Promise<void> {
  process.execArgv = [...settings.execArgv];
  process.argv.splice(2, Number.POSITIVE_INFINITY, ...settings.args);
  keepTickShape();
  const log = workerLog(settings.log, settings.worker, followWithStreams(settings.outputFile, process));
  const output = guardOutput(process, (name) =>
    log.warn(
      `nobody reads ${name === 'stdout' ? 'standard output' : 'standard error'}: what is written to it is lost`,
    ),
  );
  const channel = openChannel(process);
  const signals = shelterSignals(process);
  const state = { draining: false, last: false, ready: false, worker: settings.worker };
  const servers: Servers = trackServers({
    onListen: (server, options) => {
      redirectToPassed({ server, options }, settings.listen);
      operations.mount(server as Server);
      blocked.mount(server);
    },
    onListening: (server) => {
      handOn.onListening(server);
      sticky.onListening(server);
      if (state.ready) tellListens(`the app also listens on ${urlOf(server)}`);
      boot.wake();
    },
    onPending: (count) => boot.pending(count),
    onAccepted: (open, newest) => descriptors.accepted(open, newest),
    onRequest: (response, connection) => {
      drainer.onRequest(response, connection.socket);
      handOn.onRequest(response, connection);
      sticky.onRequest(response, connection.socket);
    },
    onAnswered: (response, connection) => {
      drainer.onAnswered(response);
      handOn.onAnswered(response, connection);
    },
    onUpgraded: (socket) => handOn.onUpgraded(socket),
    tellPath: settings.redact === 'on' ? redacted : whole,
  });
  const drainer = createDrainer(servers, {
    linger: settings.linger,
    closeWebSockets: settings.websockets === 'close',
    beside: (listening) => serversBeside(listening, settings.listen),
    elsewhere: {
      take: (socket) => !state.last && handOn.leave(socket, state.worker === 0 ? null : state.worker),
      underWay: () => handOn.underWay(),
    },
  });
  const moving = createMoving({
    settings,
    // One worker speaks for all: they run the same Node and the same app.
    say: (message, isAsked) => (state.worker === 1 ? log[isAsked ? 'warn' : 'info'](message) : undefined),
  });
  const handOn = createHandOn({ channel, onChange: () => beats.now(), moving });
  const sticky = createSticky({ settings, handOn });
  const exit = (code: number): void => void log.close().finally(() => process.exit(code));
  const shutdown = createShutdown({
    servers,
    drainer,
    signals,
    channel,
    exit,
    onError: (message, error) => log.error(message, { error }),
    onWarning: log.warn,
  });
  const accepting = createAccepting(
    (server) =>
      // Of a server that nobody can reach a replacement makes a good one; at a stop the master has none to give.
      void (
        !state.draining &&
        isAccepting(server) &&
        fail(new Error('the master has not given the listening socket back'))
      ),
  );
  const descriptors = guardDescriptors({
    servers,
    accepting,
    limit: descriptorLimit,
    open: openDescriptors,
    now: () => performance.now(),
    after: (delay, act) => void setTimeout(act, delay),
    warn: log.warn,
  });
  const promotion = deferred<number>();
  const beats = createBeats({
    servers,
    kept: handOn.kept,
    send: (beat) => {
      descriptors.measure();
      void channel.send({ type: 'beat', beat });
    },
    interval: settings.beatInterval,
  });
  const blocked = createBlockedRequests({ servers, now: () => performance.now() });
  exposeCurrent(process, servers);
  const operations = createOperations({
    settings,
    worker: () => state.worker,
    channel,
    ready: () => state.ready && !state.draining,
    log,
  });
  const listenCalls = redirectListens({
    dispatch: settings.dispatch,
    onTakenOver: (server) =>
      log.info(`the app listens itself after all, and has the socket of ${addressOf(server)} now`),
  });
  const boot = hostApp({
    settings,
    servers,
    channel,
    operations,
    lend: listenCalls.lend,
    onWarning: log.warn,
    onLoaded: showHeapFlags,
  });
  const where = () => ({
    urls: targetFirst(
      servers.listening().map((server) => ({ server })),
      settings.listen,
    ).map(({ server }) => addressOf(server)),
    onTarget: servers.listening().some((server) => isTarget(server, settings.listen)),
  });
  const tellListens = (what: string): void => {
    log.debug(what);
    // Not before the server knows its address.
    setImmediate(() => void channel.send({ type: 'listens', ...where() }));
  };

  const drain = (timeout: number, last: boolean): void => {
    state.draining = true;
    state.last = last;
    handOn.stop();
    sticky.stop();
    beats.start({ withBytes: true });
    // A passed socket is never closed for the last time: nothing of its queue can be lost.
    shutdown.begin({ timeout, last: last && !servers.listening().every(isPassed) });
  };
  channel.onMessage((message, connection) => {
    if (message.type === 'drain') drain(message.timeout, message.last);
    else if (message.type === 'release') shutdown.release();
    else if (message.type === 'beat') beats.now();
    else if (message.type === 'hand-on') handOn.order(message);
    else if (message.type === 'take') handOn.take(message, connection);
    else if (message.type === 'handed') handOn.onHanded(message);
    else if (message.type === 'workers') sticky.onWorkers(message);
    else if (message.type === 'stats') operations.onStats(message);
    else if (message.type === 'promote') promotion.resolve(message.slot);
    else if (message.type === 'block') blocked.set(message.requests);
    else
      runErrand(message, { servers, settings, channel }).catch((error) =>
        log.warn(`the order ${message.type} failed`, { error }),
      );
  });
  orphaned(() => {
    log.warn('the master is gone: finishing what is under way, then ending', {
      limitMs: settings.orphanTimeout,
    });
    drain(settings.orphanTimeout, false);
  });
  /** Others accept from here on; what is in is answered, unless the failure is in its way. */
  const answerWhatIsIn = async (): Promise<void> => {
    state.draining = true;
    handOn.stop();
    sticky.stop();
    await drainer.drain({
      last: false,
      timeout: lastAnswers,
      closed: () => tellClosed({ servers, channel }),
    });
    await channel.send({ type: 'drained' });
  };
  /** For who asks afterwards what was lost. */
  const tellCurrent = (): void => {
    const current = currentOf(servers);
    if (current.inFlight > 0) void channel.send({ type: 'current', ...current });
  };
  const isServing = (): boolean => state.ready && !state.draining;
  const { fail, retire, prepare } = createFailing({
    channel,
    isServing,
    isDraining: () => state.draining,
    tellCurrent,
    answerWhatIsIn,
    exit,
  });
  onUncaught(process, (error) => void fail(error));
  process.on('exit', () => {
    // What a drain leaves behind is told as cut.
    if (!state.draining) tellCurrent();
    if (output.count() > 0) log.warn('output of the app was lost', { writes: output.count() });
    log.flush();
  });
  const witness = (): void => {
    if (settings.health.capture === 'off') return;
    void startWitness((error) =>
      log.warn(
        'the thread that tells where this worker hangs cannot run: it would be replaced without a stack',
        { error },
      ),
    );
  };
  /** As ready as can be, without listening, until a slot is to be filled. */
  const standBy = async (listeners: HeldListeners): Promise<void> => {
    await Promise.race([boot.done, listeners.held]);
    // What the app waits for does not keep the process.
    channel.ref();
    await channel.send({ type: 'spare' });
    beats.start({ withBytes: false, idle: true });
    witness();
    state.worker = await promotion.promise;
    log.setWorker(state.worker);
    Object.assign(process.env, numberVariables(state.worker));
    listeners.open();
  };

  keepListeners(process);
  ownUdpPorts();
  try {
    if (settings.worker === 0) await standBy(holdListeners());
    await boot.done;
    await listenOnRest(servers.listening(), settings.listen);
  } catch (error) {
    return fail(error);
  }
  if (state.draining) return;
  state.ready = true;
  await channel.send({ type: 'ready', ...where() });
  // A drain may have begun its own meanwhile.
  if (state.draining) return;
  beats.start({ withBytes: false });
  if (settings.worker !== 0) witness();
  void moving.begin();
  prepare();
  watchDeaf({ servers, listen: settings.listen, isServing, onDeaf: (error) => void retire(error) });
}

/** Without this mark node:cluster ends a worker at once when its master is gone, with its requests. */
function orphaned(handle: () => void): void {
  const { worker } = cluster;
  if (worker === undefined) throw new Error('a worker is started by the master only');
  worker.exitedAfterDisconnect = true;
  process.once('disconnect', handle);
}
