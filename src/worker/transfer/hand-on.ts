import type { ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RawHandle } from '../../protocol/handles.js';
import { settleTime } from '../../protocol/limits.js';
import {
  type HandedOn,
  type MasterMessage,
  monotonic,
  type ReadyWorker,
  type WorkerKey,
} from '../../protocol/messages.js';
import { isWorkerPort } from '../app/target.js';
import { type Channel, createAway } from '../channel.js';
import {
  attach,
  detach,
  isBetweenRequests,
  isPlainHttp,
  learnAccepting,
  markBusy,
  markIdle,
} from '../connections/connection-handle.js';
import { announce, type Connection, connectionOf, isAnswering } from '../connections/connections.js';
import { ours } from '../connections/follow-server.js';
import { failRequestTimeout } from '../node-internals/http.js';
import { isFull } from '../node-internals/listening.js';
import { acceptorOf, serverOf, silenceLeft } from '../node-internals/sockets.js';
import {
  cameByDetour,
  countsRequests,
  hasForeignListeners,
  hasOwnConnections,
  isFronted,
  type Moving,
  pins,
} from './moving.js';

/*
 * How a connection moves to another worker:
 *
 * 1. Why: one worker has more kept connections than another (by two, or by a tenth of the average where that is more),
 *    and the core evens that out (`even-out`, core/balance.ts; `order` here); this worker drains (`leave`, which
 *    drain/drain.ts calls); or the client belongs to another worker (`give`, from sticky.ts). Only a kept connection moves: plain
 *    HTTP/1, between two requests, on which nobody but Node listens (`canGo`); kept: it has had an answer and stays open.
 *    One that sticky.ts gives away has not reached a server here yet.
 *    The first two happen only where moving.ts is able: `balance` is not off, `dispatch` is shared, `sticky` is off, and its
 *    self-test has passed. At a stop nothing moves, as no worker stays (worker/serve.ts).
 * 2. This worker detaches the handle from its socket and sends it to the master: `hand-on`. It keeps a copy open until the
 *    master answers `handed` (channel.ts).
 * 3. The master chooses a worker and sends it the handle: `take`. It keeps a copy too (master/hand-over.ts).
 * 4. That worker answers `taken` before it reads from the connection, and attaches the handle to its server of the same
 *    address (`receive`). If it has no such server, or no room, the connection goes back: `hand-on` with one hop more.
 * 5. The master closes its copy, or after `lost`, `late`, a death or too long a wait it chooses another worker.
 *
 * `silence` is how long the head of the next request may still take: a move must not give a slow client more time.
 */

/** Connections that this worker gives to another, or gets from one. */
export interface HandOn {
  /** A server listens: its address identifies it from now on. */
  onListening(server: Server): void;
  onRequest(response: ServerResponse, connection: Connection): void;
  onAnswered(response: ServerResponse, connection: Connection): void;
  /** See Heartbeat. */
  kept(): number | null;
  /** Gives a connection that no server knows yet to another worker. */
  give(server: Server, connection: Placed & { readonly to: ReadyWorker }): void;
  /** Gives such a connection to this worker's own server. */
  serveHere(server: Server, connection: Placed): void;
  /** Hands on kept connections as they become idle, for a moment. */
  order(order: Extract<MasterMessage, { type: 'even-out' }>): void;
  take(message: Extract<MasterMessage, { type: 'take' }>, handle: RawHandle | undefined): void;
  onHanded(message: Extract<MasterMessage, { type: 'handed' }>): void;
  /** A connection was upgraded from HTTP. */
  onUpgraded(socket: Socket): void;
  /**
   * This worker ends: an idle connection goes to the next worker of its slot, or to another one. False: it cannot go,
   * or has come back.
   */
  leave(socket: Socket, slot: number | null): boolean;
  /** How many connections are on their way to the master. */
  underWay(): number;
  /** Stops handing on connections. */
  stop(): void;
  /** Calls `handle` when the number of kept connections differs from the one reported last. */
  onChange(handle: () => void): void;
}

export interface Placed {
  readonly handle: RawHandle;
  /** What was already read from the connection. */
  readonly head: Buffer;
  /** See HandedOn. */
  readonly silence: number | null;
}

export interface HandOnSeam {
  readonly channel: Pick<Channel, 'send' | 'hand' | 'onLost'>;
  readonly moving: Pick<Moving, 'mode' | 'isAble' | 'tell'>;
}

/** For so long an order only takes connections on which requests come, ms; after that it also takes idle ones ... */
const idleAfter = 50;
/** ... and then the order ends: less than settleTime. */
const orderLimit = 200;
/** Node sends one connection after the other, and nobody serves those that wait. */
const mostUnderWay = 4;
/**
 * After another worker refused a server's connection, having no such server or no room, none of it is handed on for
 * so long, ms.
 */
const refusalHolds = 10_000;
/** At most so many such servers are remembered, for apps that listen on ever new ports. */
const mostRefused = 100;
/** A worker that ends hands on connections for so long, ms; it closes the rest. */
const leaveLimit = 2_000;
/** A changed number is reported once it has been stable for so long, or after `longestChange` at most, ms. */
const calm = 100;
const longestChange = 400;

export function createHandOn({ channel, moving }: HandOnSeam): HandOn {
  const names = new WeakMap<Server, string>();
  const servers = new Map<string, Server>();
  /**
   * Servers of which another worker refused a connection, having no such server or no room, and until when that
   * counts.
   */
  const refused = new Map<string, number>();
  // Not a SocketList: properties that only some sockets have make property look-ups slower for all of them.
  const kept = new Set<Socket>();
  /** Those of the worker's own port, which go to the next worker of its slot only. */
  const bound = new Set<Socket>();
  const away = createAway(channel);
  const overdue = createOverdue();
  let orders: Order[] = [];
  let underWay = 0;
  let reported = 0;
  let changing = false;
  let changedAt = 0;
  let reporting = false;
  let onChange = (): void => {};
  /** Connections that wait for their turn to leave, and those that could not leave. */
  const leaving = new Set<Socket>();
  const returned = new WeakSet<Socket>();
  let leaveUntil = Number.POSITIVE_INFINITY;

  /** A connection that comes and goes makes no difference; a burst does. */
  const noteChange = (): void => {
    changedAt = performance.now();
    if (!changing && Math.abs(kept.size - reported) >= Math.max(2, reported / 8)) awaitCalm();
  };
  /** In the middle of a burst the number means little. */
  const awaitCalm = (since = performance.now()): void => {
    changing = true;
    const check = (): void => {
      const now = performance.now();
      if (now - changedAt < calm && now - since < longestChange) return awaitCalm(since);
      changing = false;
      onChange();
    };
    setTimeout(check, calm).unref();
  };
  /** The master needs the new number before it orders more moves. */
  const reportMove = (): void => {
    if (reporting) return;
    reporting = true;
    setTimeout(
      () => {
        reporting = false;
        onChange();
      },
      settleTime + calm / 2,
    ).unref();
  };
  const onClose = ours(function (this: Socket): void {
    bound.delete(this);
    if (kept.delete(this)) noteChange();
  });
  const keep = (socket: Socket): void => {
    if (kept.has(socket) || bound.has(socket)) return;
    if (cameByWorkerPort(socket)) {
      bound.add(socket);
      connectionOf(socket).isWeighed = true;
      socket.on('close', onClose);
      return;
    }
    kept.add(socket);
    connectionOf(socket).isWeighed = true;
    socket.on('close', onClose);
    noteChange();
  };

  const handOn = async (socket: Socket, { to, slot, onGone }: Destination): Promise<void> => {
    const name = names.get((cameByWorkerPort(socket) ? acceptorOf(socket) : serverOf(socket)) as Server);
    if (name === undefined || (refused.get(name) ?? 0) > performance.now()) return;
    const silence = silenceLeft(socket);
    if (silence === undefined) return;
    const handle = detach(socket);
    if (handle === null) return;
    onGone?.();
    underWay++;
    const what = { server: name, hops: 0, head: null, silence };
    const back = (): void => void (receive(what, handle) || handle.close());
    await away.give({ type: 'hand-on', to, slot, ...what }, { handle, back });
    underWay--;
  };
  /** Whether a server's connections may be moved at all. */
  const isOpen = (server: Server): boolean => {
    const isOwn = moving.mode === 'auto' ? hasOwnConnections(server) : isFronted(server);
    if (isOwn) moving.tell("the app listens for 'connection' of its server itself");
    return !isOwn;
  };
  const mayGo = (socket: Socket): boolean => underWay < mostUnderWay && canGo(socket);
  const canGo = (socket: Socket): boolean => {
    if (!moving.isAble() || !isOpen(serverOf(socket) as Server)) return false;
    if (isAnswering(socket)) return false;
    if (connectionOf(socket).isPinned) return false;
    if (countsRequests(serverOf(socket) as Server)) return false;
    if (hasForeignListeners(socket)) return false;
    return isBetweenRequests(socket);
  };
  const openOrder = (): Order | undefined => {
    const now = performance.now();
    orders = orders.filter(({ left, until }) => left > 0 && now < until);
    return orders[0];
  };
  const moveIdle = async (order: Order): Promise<void> => {
    await sleep(idleAfter, undefined, { ref: false });
    for (const socket of [...kept]) {
      if (openOrder() === undefined || order.left <= 0 || performance.now() >= order.until) return;
      if (mayGo(socket)) await handOn(socket, inOrder(order));
    }
  };
  const letLeave = (slot: number | null): void => {
    for (const socket of leaving) {
      if (underWay >= mostUnderWay) return;
      leaving.delete(socket);
      if (canGo(socket)) void handOn(socket, { to: null, slot }).then(() => letLeave(slot));
    }
  };

  const receive = ({ server: name, head, silence }: HandedOn, handle: RawHandle): boolean => {
    const server = servers.get(name);
    if (server === undefined) return false;
    if (head !== null) {
      enter(server, { handle, head: Buffer.from(head, 'base64'), silence });
      return true;
    }
    // Another worker may have room.
    if (isFull(server)) return false;
    // The worker that read its first bytes has counted it; one that only looked at it has not.
    const prepare = (socket: Socket): void => announce(socket, 'wasHandedOver');
    const socket = attach({ server, handle, head: null, prepare });
    if (socket === null || socket.destroyed || !isPlainHttp(socket)) return true;
    markIdle(socket, silence);
    if (Number.isFinite(leaveUntil)) returned.add(socket);
    connectionOf(socket).isWaiting = true;
    reportMove();
    keep(socket);
    return true;
  };

  const enter = (server: Server, { handle, head, silence }: Placed): void => {
    const socket = attach({ server, handle, head, prepare: () => {} });
    if (socket !== null && silence !== null && isPlainHttp(socket)) overdue.watch(socket, silence);
  };
  const refuse = (name: string): void => {
    const now = performance.now();
    for (const [other, until] of refused)
      if (until <= now || refused.size >= mostRefused) refused.delete(other);
    refused.set(name, now + refusalHolds);
  };

  return {
    onChange: (handle) => {
      onChange = handle;
    },
    onListening: (server) => {
      learnAccepting(server);
      const name = nameOf(server);
      if (name === null) return;
      names.set(server, name);
      servers.set(name, server);
      server.once('close', () => {
        names.delete(server);
        if (servers.get(name) === server) servers.delete(name);
      });
    },
    onRequest: (response, connection) => {
      if (moving.mode !== 'off') connection.isPinned = pins(response);
      if (overdue.any()) overdue.forget(connection.socket);
      if (!connection.isWaiting) return;
      connection.isWaiting = false;
      markBusy(connection.socket);
    },
    onAnswered: (response, connection) => {
      const { socket } = connection;
      if (!response.shouldKeepAlive || (connection.isWeighed && orders.length === 0) || socket.destroyed)
        return;
      if (
        moving.mode === 'off' ||
        !isPlainHttp(socket) ||
        !names.has(serverOf(socket) as Server) ||
        cameByDetour(socket)
      )
        return;
      if (!connection.isWeighed && !isOpen(serverOf(socket) as Server)) {
        connection.isWeighed = true;
        return;
      }
      keep(socket);
      if (orders.length === 0) return;
      // Node and listeners of the app still have to process the end of this answer.
      setImmediate(() => {
        const order = openOrder();
        if (order !== undefined && kept.has(socket) && mayGo(socket)) void handOn(socket, inOrder(order));
      });
    },
    kept: () => {
      reported = kept.size;
      return moving.isAble() ? reported : null;
    },
    give: (server, { to: { key, slot }, ...placed }) => {
      const name = names.get(server);
      if (name === undefined) return enter(server, placed);
      const { handle, head, silence } = placed;
      const message = { server: name, hops: 0, head: head.toString('base64'), silence };
      const back = (): void => enter(server, placed);
      void away.give({ type: 'hand-on', to: key, slot, ...message }, { handle, back });
    },
    serveHere: enter,
    order: ({ to, count }) => {
      const order = { to, left: count, until: performance.now() + orderLimit };
      orders.push(order);
      void moveIdle(order);
      reportMove();
    },
    take: ({ id, from, until, ...what }, handle) => {
      const { server, hops } = what;
      // Sent before anything is read: until then the master may give the connection to another worker.
      const outcome = handle === undefined ? 'lost' : monotonic() > until ? 'late' : 'read';
      void channel.send({ type: 'taken', id, outcome });
      if (outcome !== 'read' || handle === undefined) return handle?.close();
      if (hops > 0) refuse(server);
      if (receive(what, handle)) return;
      const back = (): void => handle.close();
      void away.give({ to: from, slot: null, ...what, type: 'hand-on', hops: hops + 1 }, { handle, back });
    },
    onHanded: away.onHanded,
    onUpgraded: (socket) => {
      overdue.forget(socket);
      bound.delete(socket);
      if (kept.delete(socket)) noteChange();
    },
    leave: (socket, slot) => {
      if (leaving.has(socket)) return true;
      const now = performance.now();
      leaveUntil = Math.min(leaveUntil, now + leaveLimit);
      if (now > leaveUntil || returned.has(socket) || !(kept.has(socket) || bound.has(socket))) return false;
      if (!canGo(socket)) return false;
      leaving.add(socket);
      letLeave(slot);
      return true;
    },
    underWay: () => underWay,
    stop: () => {
      orders = [];
    },
  };
}

function cameByWorkerPort(socket: Socket): boolean {
  const acceptor = acceptorOf(socket);
  return acceptor !== undefined && isWorkerPort(acceptor);
}

interface Destination {
  readonly to: WorkerKey | null;
  readonly slot: number | null;
  /** Called when the connection has left its socket. */
  readonly onGone?: () => void;
}

function inOrder(order: Order): Destination {
  return { to: order.to, slot: null, onGone: () => void order.left-- };
}

interface Order {
  readonly to: WorkerKey;
  left: number;
  readonly until: number;
}

function nameOf(server: Server): string | null {
  const address = server.address();
  if (address === null || typeof address === 'string') return address;
  return `${address.address}|${address.port}`;
}

/**
 * Connections whose first head has not arrived, although some of its time passed in the worker that read from them
 * before.
 */
interface Overdue {
  /** Closes the connection after `left` ms; Node would start its own limit anew. */
  watch(socket: Socket, left: number): void;
  /** The request has arrived, or the connection was upgraded. */
  forget(socket: Socket): void;
  any(): boolean;
}

function createOverdue(): Overdue {
  const timers = new Map<Socket, NodeJS.Timeout>();
  const forget = (socket: Socket): void => {
    clearTimeout(timers.get(socket));
    timers.delete(socket);
  };
  const onClose = ours(function (this: Socket): void {
    forget(this);
  });
  return {
    watch: (socket, left) => {
      const fail = (): void => {
        forget(socket);
        if (!socket.destroyed) failRequestTimeout(socket);
      };
      timers.set(socket, setTimeout(fail, left).unref());
      socket.on('close', onClose);
    },
    forget,
    any: () => timers.size > 0,
  };
}
