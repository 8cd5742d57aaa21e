import { chmodSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Listen } from '../../protocol/settings.js';
import { type ListenOptions, urlOf } from '../connections/servers.js';
import type { Fastify, Recognised } from './recognise.js';
import { forwarder, listenOnPassed } from './target.js';

/** Marks a server that we opened for an app that has none. If the app opens its own later, it gets the socket. */
export type Lend = (server: Server) => void;

/** Opens the listeners for an app that does not listen itself. Resolves when they are open; rejects with the system's error. */
export async function listenFor(app: Recognised, listen: Listen, lend: Lend = () => {}): Promise<void> {
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
