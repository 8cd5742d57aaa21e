import { Socket, type SocketConstructorOpts } from 'node:net';
import type { RawHandle } from '../protocol/handles.js';
import type { HandedOn, HandOnMessage, MasterMessage, Outcome, WorkerKey } from '../protocol/messages.js';

/** Carries connections from worker to worker. */
export interface HandOver {
  receive(from: WorkerKey, message: HandOnMessage, connection: RawHandle | undefined): void;
  /** The worker is gone, and its last words are read: what it had not taken goes to another. */
  gone(key: WorkerKey): void;
}

export interface HandOverSeam {
  /** The workers that are ready, who has least to do first. */
  readonly ready: () => readonly { readonly key: WorkerKey; readonly slot: number }[];
  /** Whether the worker has not exited yet. */
  readonly isAlive: (key: WorkerKey) => boolean;
  readonly hand: (
    key: WorkerKey,
    message: Extract<MasterMessage, { type: 'take' }>,
    connection: RawHandle,
  ) => void;
  readonly send: (key: WorkerKey, message: Extract<MasterMessage, { type: 'handed' }>) => void;
  /** ms, by the clock that the workers have too. */
  readonly now: () => number;
  /** Calls back after so many ms, and after whatever the workers have said by then was read. */
  readonly after: (delay: number, act: () => void) => () => void;
  /** See endConnection. */
  readonly end: (connection: RawHandle) => void;
  readonly onTrouble: (trouble: Trouble) => void;
}

/**
 * What has become of a connection on its way. `to-master` and `to-worker`: the kernel dropped it, as the receiver had no
 * file descriptor left. `late`: a worker did not take it in time. `ended`: nobody took it, and the client was told so.
 */
export type Trouble = 'to-master' | 'to-worker' | 'late' | 'ended';

interface Waiting extends HandedOn {
  readonly from: WorkerKey;
  readonly to: WorkerKey;
  readonly slot: number | null;
  readonly connection: RawHandle;
  /** Who has not taken it, `to` not yet among them. */
  readonly tried: readonly WorkerKey[];
  readonly forget: () => void;
}

/** A connection that nobody takes in so many attempts is closed. */
const mostHops = 4;
/** How long a worker has to take a connection, ms ... */
const lease = 5_000;
/** ... and how much later another gets it: a worker that looks at the clock in time reads within this. */
const margin = 1_000;

/**
 * The master keeps its copy of a connection until the other worker says that it reads from it now. A worker that dies
 * before has not touched it, so that the next can have it as it is; so has one that does not take it in time, for it
 * closes what it finds too late.
 */
export function createHandOver(seam: HandOverSeam): HandOver {
  const { ready, isAlive, hand, send, now, after, end, onTrouble } = seam;
  const waiting = new Map<number, Waiting>();
  let lastId = 0;

  const pass = (wish: Wish, { server, hops, head, silence }: HandedOn, connection: RawHandle): void => {
    const to = hops < mostHops ? choose(wish) : null;
    if (to === null) {
      onTrouble('ended');
      return end(connection);
    }
    const id = ++lastId;
    const { from, slot, tried } = wish;
    const forget = after(lease + margin, () => again(id, 'late'));
    waiting.set(id, { server, hops, head, silence, from, to, slot, tried, connection, forget });
    hand(to, { type: 'take', id, from, until: now() + lease, server, hops, head, silence }, connection);
  };
  /** Who it is meant for, else who has its slot now, else who has least to do, else who had it. */
  const choose = ({ to, slot, from, tried }: Wish): WorkerKey | null => {
    const workers = ready().filter(({ key }) => !tried.includes(key));
    const newest = workers.filter((worker) => worker.slot === slot).sort((a, b) => b.key - a.key);
    const wanted = workers.find(({ key }) => key === to) ?? newest[0];
    const other = wanted ?? workers.find(({ key }) => key !== from);
    if (other !== undefined) return other.key;
    // One that drains still answers; see worker/drain/drain.ts.
    return [to, from].find((key) => key !== null && !tried.includes(key) && isAlive(key)) ?? null;
  };
  const settle = (id: number): Waiting | undefined => {
    const settled = waiting.get(id);
    settled?.forget();
    waiting.delete(id);
    return settled;
  };
  /** It is with nobody: another is to have it. */
  const again = (id: number, trouble: Trouble | null): void => {
    const lost = settle(id);
    if (lost === undefined) return;
    if (trouble !== null) onTrouble(trouble);
    const { from, slot, to, tried } = lost;
    pass({ to: null, slot, from, tried: [...tried, to] }, lost, lost.connection);
  };
  const taken = (id: number, outcome: Outcome): void => {
    if (outcome === 'lost') again(id, 'to-worker');
    else if (outcome === 'late') again(id, 'late');
    else settle(id)?.connection.close();
  };

  return {
    receive: (from, message, connection) => {
      if (message.type === 'taken') return taken(message.id, message.outcome);
      // Before anything else: see worker/transfer/away.ts.
      send(from, { type: 'handed', id: message.id, came: connection !== undefined });
      if (connection === undefined) onTrouble('to-master');
      else pass({ to: message.to, slot: message.slot, from, tried: [] }, message, connection);
    },
    gone: (key) => {
      for (const [id, { to }] of waiting) if (to === key) again(id, null);
    },
  };
}

/**
 * Tells the client that nothing follows, and closes this copy. Another may be on its way to a worker that hangs, so that to
 * close this one alone would tell the client nothing.
 */
export function endConnection(connection: RawHandle): void {
  const socket = new Socket({ handle: connection, readable: false, writable: true } as SocketConstructorOpts);
  socket.on('error', () => {}).end(() => socket.destroy());
}

interface Wish {
  readonly from: WorkerKey;
  readonly to: WorkerKey | null;
  readonly slot: number | null;
  readonly tried: readonly WorkerKey[];
}
