import { chmodSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { exitCodes, RomAgentError } from '../../errors.js';
import type { Listen, WorkerSettings } from '../../protocol/settings.js';
import type { Channel } from '../channel.js';
import { type ListenOptions, type Servers, urlOf } from '../connections/servers.js';
import type { OwnStart } from './load-app.js';
import { type Moments, watchEmptyLoop, watchMoments } from './moments.js';
import type { Operations } from './operations.js';
import type { Fastify, Recognised } from './recognise.js';
import { addressOf, forwarder, listenOnPassed, targetName } from './target.js';

export interface Boot {
  /** Resolves once the app listens where it is configured to, or certainly never will; rejects with what was wrong. */
  readonly done: Promise<void>;
  /** A server has begun to listen. */
  wake(): void;
  /** `count` listeners are being opened. */
  pending(count: number): void;
}

export interface HostSeam {
  readonly settings: WorkerSettings;
  readonly servers: Servers;
  readonly channel: Channel;
  readonly operations: Operations;
  readonly lend: Lend;
  readonly onWarning: (message: string) => void;
  /** Called when all of our own modules are loaded, just before the app is. */
  readonly onLoaded: () => void;
}

/**
 * How long an app that exports something, and has work under way, may still call `listen()` itself, ms. It may
 * connect to its database first.
 */
const exportGrace = 500;
const listenGrace = 5_000;

/** Runs the app and makes sure that it listens, by itself or through a server of ours. */
export function hostApp(seam: HostSeam): Boot {
  let isOpening = false;
  let isUp = false;
  let moments: Moments | null = null;
  const { channel, settings } = seam;
  const begin = async (): Promise<void> => {
    if (settings.app === null) return hostBuiltin(seam);
    const emptied = watchEmptyLoop();
    channel.unref();
    moments = watchMoments({ ...seam, emptied });
    try {
      await boot(seam, settings.app, moments);
    } finally {
      emptied.release();
      isUp = true;
      // From here on the channel keeps the process running.
      channel.ref();
    }
  };
  return {
    // In the next microtask, when the composition root has connected all parts.
    done: Promise.resolve().then(begin),
    wake: () => moments?.wake(),
    pending: (count) => {
      // The master's answer to a listen() comes over a channel that does not keep the process running by itself.
      if (isUp || settings.app === null || count > 0 === isOpening) return;
      isOpening = count > 0;
      if (isOpening) channel.ref();
      else channel.unref();
    },
  };
}

/** Marks a server that we opened for an app that has none. If the app opens its own later, it gets the socket. */
type Lend = (server: Server) => void;

/** Opens the listeners for an app that does not listen itself. Resolves when they are open; rejects with the system's error. */
async function listenFor(app: Recognised, listen: Listen, lend: Lend = () => {}): Promise<void> {
  switch (app.kind) {
    case 'nothing':
      return;
    case 'fastify':
      await listenFastify(app.app, listen);
      return takeLateCall(app.app, async () => urlOf(app.app.server));
    case 'server':
      await listenAll(alsoOn(app.server, listen), listen);
      return takeLateCall(app.server, () => {
        process.nextTick(() => app.server.emit('listening'));
        return app.server;
      });
    case 'listener': {
      const servers = serversFor(app, listen);
      await listenAll(servers, listen);
      for (const server of servers) lend(server);
    }
  }
}

async function listenFastify(app: Fastify, listen: Listen): Promise<void> {
  const [first = {}, ...others] = optionsFor(listen);
  const everywhere = first.port !== undefined && first.host === undefined;
  await app.listen({ ...first, ...(everywhere ? { host: allAddresses() } : {}) });
  await Promise.all(others.map((options) => listening(forwarder(app.server), options)));
  setMode(listen);
}

/**
 * Answers a listen() that the app calls on its exported server or Fastify after we did: it succeeds and its callback
 * runs. Node and Fastify would throw. The next call is theirs again.
 */
function takeLateCall(app: Server | Fastify, listens: () => unknown): void {
  const target = app as { listen: unknown };
  const own = Object.getOwnPropertyDescriptor(target, 'listen');
  const take = (...args: unknown[]): unknown => {
    if (own === undefined) Reflect.deleteProperty(target, 'listen');
    else Object.defineProperty(target, 'listen', own);
    const callback = args.find((each) => typeof each === 'function') as
      | ((...told: unknown[]) => void)
      | undefined;
    if (app instanceof Server && callback !== undefined) app.once('listening', callback);
    const listening = listens();
    if (app instanceof Server || callback === undefined) return listening;
    void Promise.resolve(listening).then((address) => callback(null, address));
    return undefined;
  };
  Object.defineProperty(target, 'listen', { value: take, configurable: true, writable: true });
}

/** Fastify would listen on localhost only; `::` does not exist in a kernel without IPv6. */
function allAddresses(): string {
  return hasIPv6() ? '::' : '0.0.0.0';
}

/**
 * os.networkInterfaces() needs a netlink socket, which a sandbox may refuse; the kernel's list of addresses is a
 * file.
 */
export function hasIPv6(
  interfaces: typeof networkInterfaces = networkInterfaces,
  readFile = (path: string) => readFileSync(path, 'latin1'),
): boolean {
  try {
    const addresses = Object.values(interfaces()).flat();
    return addresses.some((address) => address?.family === 'IPv6');
  } catch {
    try {
      return readFile('/proc/self/net/if_inet6') !== '';
    } catch {
      return false;
    }
  }
}

async function hostBuiltin({ settings, operations, onLoaded }: HostSeam): Promise<void> {
  const app = await operations.builtin();
  onLoaded();
  return listenFor(app, settings.listen);
}

async function boot(seam: HostSeam, path: string, moments: Moments): Promise<void> {
  const { settings, operations, onLoaded } = seam;
  const [{ loadApp, ownStart, startThreadsWith }, { isFactory, recognise }] = await Promise.all([
    import('./load-app.js'),
    import('./recognise.js'),
    operations.prepare(),
  ]);
  onLoaded();
  startThreadsWith(settings.execArgv);
  const { file, exported } = await loadApp(path);
  const own = ownStart(file, typeof exported === 'function' ? exported.name : '');
  // The app ran as the main module and so has started itself: calling its factory would start it twice.
  const isCalled = isFactory(exported) && (own.startsItself || listens(seam.servers));
  const app: Recognised = isCalled ? nothing : await recognise(exported);
  const recogniseLate = (): Promise<Recognised> => recognise(exported);
  await attend(seam, moments, { app, recogniseLate: isCalled ? recogniseLate : null, own });
}

const nothing: Recognised = { kind: 'nothing' };

interface Found {
  readonly app: Recognised;
  /** Recognises the result of a factory that the app seems to have called itself; null: `app` is final. */
  readonly recogniseLate: (() => Promise<Recognised>) | null;
  readonly own: OwnStart;
}

/** Waits for the app's own `listen()`, and opens a server for what the app exports if it never calls it. */
async function attend(seam: HostSeam, moments: Moments, found: Found): Promise<void> {
  const { servers, settings, lend } = seam;
  const { app, recogniseLate, own } = found;
  const isExported = app.kind !== 'nothing' || recogniseLate !== null;
  const grace = own.listens ? listenGrace : exportGrace;
  // We call a factory that the app may have called itself only when nothing else can happen any more.
  const exportLimit = !isExported ? null : recogniseLate !== null ? Number.POSITIVE_INFINITY : grace;
  const moment = await moments.next({ exportLimit });
  if (moment === 'served') return;
  if (moment === 'ended') throw servers.listenError() ?? errorOf(app) ?? neverListened();
  if (recogniseLate !== null) {
    // Something listens, so that the app has called its factory.
    if (moment !== 'empty' && own.startsItself)
      return attend(seam, moments, { ...found, recogniseLate: null });
    return attend(seam, moments, { ...found, app: await recogniseLate(), recogniseLate: null });
  }
  if (app.kind === 'nothing') return settleElsewhere(seam, moment);
  const failure = await listenFor(app, settings.listen, lend).then(
    () => null,
    (error: NodeJS.ErrnoException) => error,
  );
  if (failure === null) return;
  // A sibling worker's app called listen() itself, before this one: this worker's app will, too.
  if (moment === 'empty' || !(await isSiblings(failure, settings.listen))) throw failure;
  return attend(seam, moments, { app: nothing, recogniseLate: null, own });
}

/** The master owns the sockets of all workers. */
async function isSiblings({ code }: NodeJS.ErrnoException, listen: Listen): Promise<boolean> {
  if (code !== 'EADDRINUSE' || listen.kind !== 'tcp') return false;
  const { portHolder } = await import('../../processes.js');
  return portHolder(listen.port)?.pid === process.ppid;
}

/**
 * Warns that the app listens elsewhere than configured. A canary fails instead, because it would replace workers that
 * serve there.
 */
function settleElsewhere(
  { servers, settings, onWarning }: HostSeam,
  moment: 'settled' | 'late' | 'empty',
): void {
  const { listen, siblings, onTrial } = settings;
  const urls = servers.listening().map(addressOf).join(' and ');
  const target = targetName(listen);
  if (onTrial && siblings?.onTarget) {
    const message = `the app listens on ${urls} and not on ${target}, where the workers before it serve`;
    throw new RomAgentError(message, { exitCode: exitCodes.appFailed });
  }
  const when = moment === 'late' ? ` after ${Math.round(settings.portWait / 1000)} s` : '';
  onWarning(
    `the app listens on ${urls} and not on ${target}${when}; expected a server on process.env.PORT, or the setting port`,
  );
}

function errorOf(app: Recognised): Error | undefined {
  return app.kind === 'nothing' ? app.error : undefined;
}

function neverListened(): RomAgentError {
  const message =
    'app: it neither exported an app nor called listen(), and has nothing left to do; ' +
    'expected a default export (module.exports) or a server that listens';
  return new RomAgentError(message, { exitCode: exitCodes.appFailed });
}

function listens(servers: Servers): boolean {
  return servers.listening().length > 0 || servers.pending() > 0;
}

/** A server has one listener only: further sockets get a server of ours that hands it their connections. */
function alsoOn(server: Server, listen: Listen): Server[] {
  return optionsFor(listen).map((_, index) => (index === 0 ? server : forwarder(server)));
}

type ListenerApp = Extract<Recognised, { kind: 'listener' }>;

function serversFor({ listener, onClientError }: ListenerApp, listen: Listen): Server[] {
  return optionsFor(listen).map(() => {
    const server = createServer(listener);
    return onClientError === undefined ? server : server.on('clientError', onClientError);
  });
}

async function listenAll(servers: readonly Server[], listen: Listen): Promise<void> {
  const options = optionsFor(listen);
  await Promise.all(servers.map((server, index) => listening(server, options[index] ?? {})));
  setMode(listen);
}

function optionsFor(listen: Listen): ListenOptions[] {
  switch (listen.kind) {
    case 'tcp':
      return [{ port: listen.port, ...(listen.host === null ? {} : { host: listen.host }) }];
    case 'path':
      return [{ path: listen.path }];
    case 'fds':
      return listen.sockets.map(({ fd }) => ({ fd }));
    case 'none':
      return [];
  }
}

function listening(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const done = (): void => {
      server.removeListener('error', reject);
      resolve();
    };
    if (options.fd === undefined) server.listen(options, done);
    else listenOnPassed(server, { fd: options.fd, done });
  });
}

function setMode(listen: Listen): void {
  if (listen.kind === 'path' && listen.mode !== null) chmodSync(listen.path, listen.mode);
}
