import type { EventEmitter } from 'node:events';
import { createServer, type Server as HttpServer, type ServerResponse } from 'node:http';
import { connect, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkerSettings } from '../../protocol/settings.js';
import { isForwarderTo } from '../app/target.js';
import {
  attach,
  detach,
  isBetweenRequests,
  learnAccepting,
  markIdle,
} from '../connections/connection-handle.js';
import { isOurs } from '../connections/follow-server.js';
import { listenForOurselves, untracked, type Where } from '../connections/servers.js';
import { testedMajors } from '../node-internals/fields.js';
import { isNodesHttpListener, isNodesListener } from '../node-internals/http.js';
import { acceptorOf, serverOf, silenceLeft } from '../node-internals/sockets.js';

/** Whether this worker moves kept connections: see docs/explanation/dispatch.md. */
export interface Moving {
  readonly mode: WorkerSettings['balance'];
  isAble(): boolean;
  /** Finds out whether it can. Never rejects. */
  begin(): Promise<void>;
  /** Logs a reason why connections stay where they are, once. */
  tell(reason: string): void;
}

export interface MovingSeam {
  readonly settings: Pick<WorkerSettings, 'balance' | 'dispatch' | 'sticky'>;
  /** One worker logs it for the whole service; `isAsked`: the operator has asked for moves. */
  readonly say: (message: string, isAsked: boolean) => void;
  readonly test?: () => Promise<string | null>;
  readonly version?: string;
}

export function createMoving({
  settings,
  say,
  test = testMove,
  version = process.versions.node,
}: MovingSeam): Moving {
  const { balance, dispatch, sticky } = settings;
  const told = new Set<string>();
  let able = false;
  const tell = (reason: string): void => {
    if (told.has(reason)) return;
    told.add(reason);
    say(`connections stay with the worker that accepted them: ${reason}`, balance === 'on');
  };
  return {
    mode: balance,
    isAble: () => able,
    tell,
    begin: async () => {
      if (balance === 'off' || dispatch !== 'shared' || sticky !== 'off') return;
      const isTested = testedMajors.includes(Number.parseInt(version, 10));
      if (balance === 'auto' && !isTested)
        return tell(`Node ${version} is not one of ${testedMajors.join(', ')}, on which moves are tested`);
      const failure = await test();
      if (failure === null) able = true;
      else tell(`the self-test of moves failed: ${failure}`);
    },
  };
}

/** How long the self-test waits for each state, ms. */
const patience = 5_000;
const silence = 60_000;

/**
 * Moves a connection of our own from one server to another within this process, and checks that this version of Node
 * keeps its fields where we expect them. Neither the app nor its tracers see a request.
 *
 * @returns what was not as expected; null where moves are safe
 */
export async function testMove(): Promise<string | null> {
  const [from, to] = [createServer(), createServer()];
  let heard = 0;
  for (const server of [from, to]) {
    untracked.add(server);
    server.on('request', () => heard++);
  }
  let client: Socket | null = null;
  try {
    const where = await listenForOurselves(from);
    await listenForOurselves(to);
    learnAccepting(to);
    const [socket, other] = await met(from, where);
    client = other;
    const failure = await tryMove({ socket, client, to });
    return failure ?? (heard > 0 ? 'a request was heard of that nobody had sent' : null);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    client?.destroy();
    for (const server of [from, to]) server.close().closeAllConnections();
  }
}

/**
 * Whether a connection must stay where it is after this request, until the next one. An `Upgrade` that nobody takes
 * leaves the parser in a state to which no other parser can be brought; after `close` nothing may follow, even if the
 * app says otherwise.
 */
export function pins({ req, shouldKeepAlive }: ServerResponse): boolean {
  return !shouldKeepAlive || asksForUpgrade(req.rawHeaders);
}

/** Runs for every request, so it tells most names apart by their length. */
function asksForUpgrade(rawHeaders: readonly string[]): boolean {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 7 && name.toLowerCase() === 'upgrade') return true;
  }
  return false;
}

/** Whether Node counts the requests of each connection, in a field that we cannot read. */
export function countsRequests(server: Server): boolean {
  return Number((server as HttpServer).maxRequestsPerSocket) > 0;
}

/** Whether the app itself listens for a server's connections, or has put something between them and node:http. */
export function hasOwnConnections(server: Server): boolean {
  const listeners = foreign(server, 'connection');
  return listeners.length !== 1 || !listeners.every(isNodesHttpListener);
}

/** Whether something of the app takes the server's connections in place of node:http. */
export function isFronted(server: Server): boolean {
  return !server.listeners('connection').some(isNodesHttpListener);
}

/** Whether anybody besides Node and us listens for an event of a connection. */
export function hasForeignListeners(socket: Socket): boolean {
  return socket
    .eventNames()
    .some((event) => !foreign(socket, event).every((listener) => isNodesListener(event, listener)));
}

/** Whether the connection reached its server through another server of the app, which may have read from it. */
export function cameByDetour(socket: Socket): boolean {
  const [server, acceptor] = [serverOf(socket), acceptorOf(socket)];
  return server !== acceptor && !isForwarderTo(acceptor, server);
}

interface Trial {
  readonly socket: Socket;
  readonly client: Socket;
  readonly to: Server;
}

async function tryMove({ socket, client, to }: Trial): Promise<string | null> {
  markIdle(socket, silence);
  // A server ignores blank lines before a request.
  client.write('\r\n');
  if (!(await comes(() => socket.bytesRead === 2))) return 'bytes are not counted';
  if (!isBetweenRequests(socket)) return 'an idle connection is not recognised';
  const left = silenceLeft(socket);
  if (typeof left !== 'number' || left > silence) return 'the time of a connection cannot be found out';
  const handle = detach(socket);
  if (handle === null || !socket.destroyed) return 'a connection cannot be taken from its socket';
  if (socket.bytesRead !== 2) return 'a connection that is gone has forgotten its bytes';
  const moved = attach({ server: to, handle, head: null, prepare: () => {} });
  if (moved === null) return 'a connection that was moved is not accepted';
  moved.on('error', () => {});
  markIdle(moved, silence);
  if (!isBetweenRequests(moved)) return 'a connection that was moved is not idle';
  const before = moved.bytesRead;
  client.write('GET / HT');
  if (!(await comes(() => moved.bytesRead === before + 8)))
    return 'a connection that was moved is not read from';
  return isBetweenRequests(moved) ? 'a request that has begun is not recognised' : null;
}

async function comes(isThere: () => boolean): Promise<boolean> {
  const deadline = performance.now() + patience;
  while (!isThere()) {
    if (performance.now() > deadline) return false;
    await sleep(2);
  }
  return true;
}

/** Both ends of a connection to a server. */
function met(server: Server, where: Where): Promise<[Socket, Socket]> {
  return new Promise((resolve, reject) => {
    const client = connect(where);
    client.on('error', reject);
    server.once('connection', (socket: Socket) => resolve([socket.on('error', () => {}), client]));
    setTimeout(() => reject(new Error('no connection came')), patience).unref();
  });
}

type Listener = ReturnType<EventEmitter['listeners']>[number];

function foreign(emitter: EventEmitter, event: string | symbol): Listener[] {
  return emitter.listeners(event).filter((listener) => !isOurs(listener));
}
