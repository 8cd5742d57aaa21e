import { type AddressInfo, Server } from 'node:net';
import { resolve as absolute, resolve } from 'node:path';
import { exitCodes, RomAgentError } from '../../errors.js';
import type { Listen, ListenSocket } from '../../protocol/settings.js';
import { type ListenOptions, type Servers, urlOf } from '../connections/servers.js';

/** Whether a server listens where the configuration says. */
export function isTarget(server: Server, listen: Listen): boolean {
  if (!server.listening) return false;
  if (listen.kind === 'fds') return isPassed(server);
  const address = server.address() as AddressInfo | string | null;
  if (address === null) return false;
  if (typeof address === 'string') return listen.kind === 'path' && resolve(address) === listen.path;
  // Port 0 means any free port.
  return listen.kind === 'tcp' && (listen.port === 0 || listen.port === address.port);
}

/** Sorts the servers on the configured address first: it is the service's address, and the probe asks one of them. */
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
 * The app's servers other than the service's: another server of the app may need them to answer. None where no server
 * is on the configured address.
 */
export function serversBeside(servers: readonly Server[], listen: Listen): ReadonlySet<Server> {
  const shared = servers.filter((server) => !isWorkerPort(server));
  const beside = shared.filter((server) => !isTarget(server, listen));
  return new Set(beside.length < shared.length ? beside : []);
}

/** The configured address in words. */
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

/** Node's default of 511 is less than the queue of a systemd socket; the kernel lowers it to net.core.somaxconn. */
const backlog = 4096;

/** Servers on passed sockets, each with its socket. */
const sockets = new WeakMap<Server, ListenSocket>();
/** Servers that hand on their connections, each with the server that gets them. */
const targets = new WeakMap<Server, Server>();
/** Our servers on passed sockets that the app does not use, by descriptor. */
const standIns = new Map<number, Server>();

/** Makes a `listen()` that means a passed socket use that socket. */
export function redirectToPassed(
  { server, options }: { server: Server; options: Readonly<ListenOptions> },
  listen: Listen,
): void {
  const socket = listen.kind === 'fds' ? meantBy(options, listen) : undefined;
  if (socket === undefined) {
    // This server may have listened on another passed socket before.
    sockets.delete(server);
    return;
  }
  sockets.set(server, socket);
  const standIn = standIns.get(socket.fd);
  // The app listens on this socket after all.
  if (standIn !== undefined && standIn !== server) standIn.close();
}

/** Servers of ours on the worker's own port: see worker-port.ts. */
const workerPorts = new WeakSet<Server>();

export function markWorkerPort(server: Server): void {
  workerPorts.add(server);
}

export function isWorkerPort(server: Server): boolean {
  return workerPorts.has(server);
}

/** The passed socket on which a server listens, or is about to. */
export function passedTo(server: Server): ListenSocket | undefined {
  return sockets.get(server);
}

/**
 * Serves the passed sockets that the app does not listen on, through its server on a passed socket, or else its first
 * one: a client that connects to a socket on which nobody accepts waits for ever.
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

/** A server has one listener only: this server hands the connections of a further socket to it. */
export function forwarder(target: Server): Server {
  const server = new Server((socket) => void target.emit('connection', socket));
  targets.set(server, target);
  return server;
}

/** Whether a server is one of ours that hands all its connections to another. */
export function isForwarderTo(server: Server | undefined, target: Server | undefined): boolean {
  return server !== undefined && target !== undefined && targets.get(server) === target;
}

/**
 * The service manager keeps such a socket open when we close it: the next daemon serves the clients that wait in its
 * queue.
 */
export function isPassed(server: Server): boolean {
  return sockets.has(server);
}

/**
 * The address of a server, as a person would type it. Node does not know the path of a unix socket that it did not
 * bind.
 */
export function addressOf(server: Server): string {
  return sockets.get(server)?.path ?? urlOf(server, targets.get(server));
}

/**
 * How often the worker checks whether its app listens, ms; an app that closes and opens its server between two checks
 * is fine.
 */
const lookInterval = 1_000;
const looks = 2;

export interface DeafSeam {
  readonly servers: Pick<Servers, 'listening' | 'pending'>;
  readonly listen: Listen;
  /** False: the worker drains. */
  readonly isServing: () => boolean;
  readonly onDeaf: (error: Error) => void;
  readonly every: (interval: number, act: () => void) => () => void;
}

/**
 * Whether a client can reach this process. For a worker that never listened on its target any listening server
 * counts.
 */
export function hears(
  { servers, listen }: Pick<DeafSeam, 'servers' | 'listen'>,
  wasOnTarget: boolean,
): boolean {
  const listening = servers.listening();
  return wasOnTarget ? listening.some((server) => isTarget(server, listen)) : listening.length > 0;
}

/**
 * Notices an app that has closed its server and goes on running. Plain Node often ends then; a worker would stay
 * ready and healthy and never get a connection again. Call it when the worker is ready.
 */
export function watchDeaf(seam: DeafSeam): void {
  const { servers, listen, isServing, onDeaf, every } = seam;
  const wasOnTarget = servers.listening().some((server) => isTarget(server, listen));
  let deafFor = 0;
  const stop = every(lookInterval, () => {
    if (!isServing()) return stop();
    deafFor = servers.pending() > 0 || hears(seam, wasOnTarget) ? 0 : deafFor + 1;
    if (deafFor < looks) return;
    stop();
    const what = wasOnTarget ? `its server on ${targetName(listen)}` : 'its last server';
    const message = `the app has closed ${what} and goes on: nobody can reach this worker`;
    onDeaf(new RomAgentError(message, { exitCode: exitCodes.appFailed }));
  });
}

function meantBy({ fd, port, path }: ListenOptions, listen: Passed): ListenSocket | undefined {
  if (fd !== undefined) return listen.sockets.find((socket) => socket.fd === fd);
  if (path !== undefined) return listen.sockets.find((socket) => socket.path === nameOf(path));
  if (port === undefined || port === null) return undefined;
  const bound = listen.sockets.find((socket) => socket.port === Number(port));
  return bound ?? (Number(port) === listen.port ? firstTcp(listen) : undefined);
}

/** Prefers a TCP socket; a socket of unknown kind is likely to be TCP. */
function firstTcp({ sockets }: Passed): ListenSocket | undefined {
  return sockets.find(({ port }) => port !== null) ?? sockets.find(({ path }) => path === null);
}

/** A path as the kernel writes it. */
function nameOf(path: string): string {
  return path.startsWith('\0') ? `@${path.slice(1)}` : absolute(path);
}
