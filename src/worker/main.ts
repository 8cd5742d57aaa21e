import cluster from 'node:cluster';
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { takeSettings, type WorkerSettings } from '../ipc/settings.js';
import { lazyLog } from '../telemetry/lazy-log.js';
import { createBeats } from './beats.js';
import { openChannel } from './channel.js';
import { createDrainer } from './drain.js';
import { createHandOn } from './hand-on.js';
import { hostApp } from './host.js';
import { redirect } from './listen.js';
import { addressOf, isPassed, listenOnRest } from './listen-passed.js';
import { createOperations } from './operations.js';
import { type Servers, trackServers, urlOf } from './servers.js';
import { createShutdown, tellClosed } from './shutdown.js';
import { shelterSignals } from './signals.js';
import { createSticky } from './sticky.js';

/** ms */
const lastWordsLimit = 1_000;
/** As long as the master lets a worker that has failed, ms: see core/policy.ts. */
const lastAnswers = 2_000;

/** The composition root of a worker: everything is in place before the app's first line runs. */
async function main(settings: WorkerSettings): Promise<void> {
  const log = lazyLog({ config: settings.log, bindings: { worker: settings.worker } });
  const channel = openChannel(process);
  const signals = shelterSignals(process);
  const state: { draining: boolean; ready: boolean } = { draining: false, ready: false };
  const servers: Servers = trackServers({
    onListen: (server, options) => {
      redirect({ server, options }, settings);
      operations.mount(server as Server);
    },
    onListening: (server) => {
      handOn.onListening(server);
      sticky.onListening(server);
      if (state.ready) log.debug(`the app also listens on ${urlOf(server)}`);
      boot.wake();
    },
    onRequest: (response, socket) => {
      drainer.onRequest(response, socket);
      handOn.onRequest(socket);
      sticky.onRequest(response, socket);
    },
    onResponseClosed: (response) => {
      drainer.onResponseClosed(response);
      handOn.onResponseClosed(response);
    },
    onUpgraded: (socket) => handOn.onUpgraded(socket),
  });
  const drainer = createDrainer(servers, {
    linger: settings.linger,
    closeWebSockets: settings.websockets === 'close',
  });
  const handOn = createHandOn({ channel, onChange: () => beats.now() });
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
  const beats = createBeats({
    servers,
    kept: handOn.kept,
    send: (beat) => void channel.send({ type: 'beat', beat }),
  });
  const operations = createOperations({
    settings,
    channel,
    ready: () => state.ready && !state.draining,
    log,
  });
  const boot = hostApp({ settings, servers, channel, operations });

  const drain = (timeout: number, last: boolean): void => {
    state.draining = true;
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
    else if (message.type === 'workers') sticky.onWorkers(message);
    else if (message.type === 'probe') void answerProbe(message);
    else if (message.type === 'stats') operations.onStats(message);
  });
  const answerProbe = async ({ path, timeout }: { path: string; timeout: number }): Promise<void> => {
    const { probe } = await import('./probe.js');
    await channel.send({ type: 'probed', ...(await probe(servers, { path, timeout })) });
  };
  orphaned(() => {
    log.warn('the master is gone: finishing what is under way, then ending', {
      limit: settings.orphanTimeout,
    });
    drain(settings.orphanTimeout, false);
  });
  /** Others accept from here on; what is in is answered, unless the failure is in its way. */
  const answerWhatIsIn = async (): Promise<void> => {
    state.draining = true;
    handOn.stop();
    sticky.stop();
    await drainer.drain({ last: false, closed: () => tellClosed({ servers, channel }) });
    await channel.send({ type: 'drained' });
  };
  let failing = false;
  const fail = async (error: unknown): Promise<void> => {
    // What fails on the way out has nothing to add.
    if (failing) return;
    failing = true;
    const { failureOf } = await import('./failures.js');
    // A master that does not read must not keep a broken worker alive.
    await Promise.race([channel.send({ type: 'failed', failure: failureOf(error) }), sleep(lastWordsLimit)]);
    if (state.ready && !state.draining) await Promise.race([answerWhatIsIn(), sleep(lastAnswers)]);
    exit(1);
  };
  // An app with a handler of its own has decided to go on; every other one dies as it would without us.
  process.on('uncaughtException', (error) => {
    if (process.listenerCount('uncaughtException') === 1) void fail(error);
  });
  process.on('exit', () => log.flush());

  try {
    await boot.done;
    await listenOnRest(servers.listening(), settings.listen);
  } catch (error) {
    return fail(error);
  }
  if (state.draining) return;
  state.ready = true;
  await channel.send({ type: 'ready', urls: servers.listening().map(addressOf) });
  // A drain may have begun its own meanwhile.
  if (!state.draining) beats.start({ withBytes: false });
}

/** Without this mark node:cluster ends a worker at once when its master is gone, with its requests. */
function orphaned(handle: () => void): void {
  const { worker } = cluster;
  if (worker === undefined) throw new Error('a worker is started by the master only');
  worker.exitedAfterDisconnect = true;
  process.once('disconnect', handle);
}

// Not awaited: an app that leaves nothing to do must reach beforeExit, not an unsettled top-level await.
void main(takeSettings(process.env));
