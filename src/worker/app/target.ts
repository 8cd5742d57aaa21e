import { type AddressInfo, Server } from 'node:net';
import { resolve as absolute, resolve } from 'node:path';
import type { Listen, ListenSocket } from '../../protocol/settings.js';
import { type ListenOptions, urlOf } from '../connections/servers.js';

/** Whether a server listens where the configuration says that the service is. */
export function isTarget(server: Server, listen: Listen): boolean {
  if (!server.listening) return false;
  if (listen.kind === 'fds') return isPassed(server);
  const address = server.address() as AddressInfo | string | null;
  if (address === null) return false;
  if (typeof address === 'string') return listen.kind === 'path' && resolve(address) === listen.path;
  // Port 0 is any that is free.
  return listen.kind === 'tcp' && (listen.port === 0 || listen.port === address.port);
}

/** The servers on what is configured first: their address is the service's, and they are who a probe asks. */
export function targetFirst<Entry extends { readonly server: Server }>(
  entries: readonly Entry[],
  listen: Listen,
): Entry[] {
  const [on, off] = [true, false].map((is) =>
    entries.filter(({ server }) => isTarget(server, listen) === is),
  );
  return [...(on ?? []), ...(off ?? [])];
}

/**
 * The servers that the app has beside its service: another of its servers may need them to answer. None where nobody is
 * on what is configured.
 */
export function serversBeside(servers: readonly Server[], listen: Listen): ReadonlySet<Server> {
  const beside = servers.filter((server) => !isTarget(server, listen));
  return new Set(beside.length < servers.length ? beside : []);
}

/** The target in words. */
export function targetName(listen: Listen): string {
  switch (listen.kind) {
    case 'tcp':
      return `port ${listen.port}`;
    case 'path':
      return listen.path;
    case 'fds':
      return 'the sockets that were passed in';
    case 'none':
      return 'no address';
  }
}

type Passed = Extract<Listen, { kind: 'fds' }>;

/** Node's own 511 would be less than systemd has the socket keep waiting; the kernel lowers it to net.core.somaxconn. */
const backlog = 4096;

/** Servers on sockets that were passed in. */
const sockets = new WeakMap<Server, ListenSocket>();
/** Whose connections a server hands on. */
const targets = new WeakMap<Server, Server>();
/** Servers of ours on sockets that the app has not asked for, by descriptor. */
const standIns = new Map<number, Server>();

/** Finds out which of the passed sockets a `listen()` means, and sends it there. */
export function redirectToPassed(
  { server, options }: { server: Server; options: Readonly<ListenOptions> },
  listen: Listen,
): void {
  const socket = listen.kind === 'fds' ? meantBy(options, listen) : undefined;
  if (socket === undefined) {
    // It may have been on one before.
    sockets.delete(server);
    return;
  }
  sockets.set(server, socket);
  const standIn = standIns.get(socket.fd);
  // The app has come for it after all.
  if (standIn !== undefined && standIn !== server) standIn.close();
}

/** The passed socket that a server listens on, or is about to. */
export function passedTo(server: Server): ListenSocket | undefined {
  return sockets.get(server);
}

/**
 * Serves the sockets that the app's own `listen()` calls have left, through its server on a passed socket or else its
 * first one: whoever connects to a socket on which nobody accepts waits for ever.
 */
export async function listenOnRest(servers: readonly Server[], listen: Listen): Promise<void> {
  if (listen.kind !== 'fds') return;
  const target = servers.find(isPassed) ?? servers[0];
  if (target === undefined) return;
  const taken = new Set(servers.map((server) => sockets.get(server)?.fd));
  const rest = listen.sockets.filter(({ fd }) => !taken.has(fd));
  await Promise.all(rest.map(({ fd }) => standIn(fd, target)));
}

function standIn(fd: number, target: Server): Promise<void> {
  const server = forwarder(target);
  standIns.set(fd, server);
  server.once('close', () => standIns.delete(fd));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    listenOnPassed(server, { fd, done: resolve });
  });
}

export function listenOnPassed(server: Server, { fd, done }: { fd: number; done: () => void }): void {
  server.listen({ fd }, backlog, done);
}

/** A server has one listener: what comes in on a further socket is handed to it. */
export function forwarder(target: Server): Server {
  const server = new Server((socket) => void target.emit('connection', socket));
  targets.set(server, target);
  return server;
}

/** Whether a server is one of ours that hands all of its connections to another. */
export function isForwarderTo(server: Server | undefined, target: Server | undefined): boolean {
  return server !== undefined && target !== undefined && targets.get(server) === target;
}

/** The service manager keeps such a socket open when we close it: the next daemon serves the clients that wait in it. */
export function isPassed(server: Server): boolean {
  return sockets.has(server);
}

/** Where a server listens, as a person would type it. Node knows no path of a unix socket that it did not bind. */
export function addressOf(server: Server): string {
  return sockets.get(server)?.path ?? urlOf(server, targets.get(server));
}

function meantBy({ fd, port, path }: ListenOptions, listen: Passed): ListenSocket | undefined {
  if (fd !== undefined) return listen.sockets.find((socket) => socket.fd === fd);
  if (path !== undefined) return listen.sockets.find((socket) => socket.path === nameOf(path));
  if (port === undefined || port === null) return undefined;
  const bound = listen.sockets.find((socket) => socket.port === Number(port));
  return bound ?? (Number(port) === listen.port ? firstTcp(listen) : undefined);
}

/** Of some sockets it cannot be found out what they are; TCP is likely. */
function firstTcp({ sockets }: Passed): ListenSocket | undefined {
  return sockets.find(({ port }) => port !== null) ?? sockets.find(({ path }) => path === null);
}

/** As the kernel writes it. */
function nameOf(path: string): string {
  return path.startsWith('\0') ? `@${path.slice(1)}` : absolute(path);
}
