import { chmodSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Dispatch } from '../config/config.js';
import type { Listen } from '../ipc/settings.js';
import { forwarder, listenOnPassed, redirectToPassed } from './listen-passed.js';
import type { Fastify, Recognised } from './recognise.js';
import type { ListenOptions } from './servers.js';

/** Opens the listeners for an app that does not listen itself. Resolves when they are open; rejects with the system's error. */
export async function listenFor(app: Recognised, listen: Listen): Promise<void> {
  switch (app.kind) {
    case 'nothing':
      return;
    case 'fastify':
      return listenFastify(app.app, listen);
    case 'server':
      return listenAll(alsoOn(app.server, listen), listen);
    case 'listener':
      return listenAll(serversFor(app, listen), listen);
  }
}

/** What the app's own `listen()` is changed to: where the supervisor passed sockets, and how connections arrive. */
export function redirect(
  { server, options }: { server: Server; options: ListenOptions },
  { listen, dispatch }: { listen: Listen; dispatch: Dispatch },
): void {
  if (listen.kind === 'fds' && redirectToPassed({ server, options }, listen)) return;
  if (dispatch === 'reuseport' && options.port !== undefined && options.fd === undefined) {
    options.reusePort = true;
    options.exclusive = true;
  }
}

async function listenFastify(app: Fastify, listen: Listen): Promise<void> {
  const [first = {}, ...others] = optionsFor(listen);
  const everywhere = first.port !== undefined && first.host === undefined;
  await app.listen({ ...first, ...(everywhere ? { host: allAddresses() } : {}) });
  await Promise.all(others.map((options) => listening(forwarder(app.server), options)));
  setMode(listen);
}

/** Fastify would listen on localhost alone; a kernel without IPv6 knows no `::`. */
function allAddresses(): string {
  const addresses = Object.values(networkInterfaces()).flat();
  return addresses.some((address) => address?.family === 'IPv6') ? '::' : '0.0.0.0';
}

/** A server has one listener: what comes in on further sockets is handed to it. */
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
