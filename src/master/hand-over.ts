import type { WorkerKey } from '../core/model.js';
import type { HandedOn, HandOnMessage, MasterMessage } from '../ipc/messages.js';
import type { RawHandle } from '../ipc/raw-handle.js';

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
}

interface Waiting extends HandedOn {
  readonly from: WorkerKey;
  readonly to: WorkerKey;
  readonly slot: number | null;
  readonly connection: RawHandle;
}

/** A connection that nobody takes in so many attempts is closed. */
const mostHops = 4;

/**
 * The master keeps its copy of a connection until the other worker says that it reads from it now. A worker that dies
 * before has not touched it, so that the next can have it as it is.
 */
export function createHandOver({ ready, isAlive, hand }: HandOverSeam): HandOver {
  const waiting = new Map<number, Waiting>();
  let lastId = 0;

  const pass = (wish: Wish, { server, hops, head, silence }: HandedOn, connection: RawHandle): void => {
    const to = hops < mostHops ? choose(wish) : null;
    if (to === null) return connection.close();
    const id = ++lastId;
    waiting.set(id, { server, hops, head, silence, from: wish.from, to, slot: wish.slot, connection });
    hand(to, { type: 'take', id, from: wish.from, server, hops, head, silence }, connection);
  };
  /** Who it is meant for, else who has its slot now, else who has least to do, else who had it. */
  const choose = ({ to, slot, from }: Wish): WorkerKey | null => {
    const workers = ready();
    const newest = workers.filter((worker) => worker.slot === slot).sort((a, b) => b.key - a.key);
    const wanted = workers.find(({ key }) => key === to) ?? newest[0];
    const other = wanted ?? workers.find(({ key }) => key !== from);
    if (other !== undefined) return other.key;
    // One that drains still answers; see worker/drain.ts.
    return [to, from].find((key) => key !== null && isAlive(key)) ?? null;
  };

  return {
    receive: (from, message, connection) => {
      if (message.type === 'taken') {
        waiting.get(message.id)?.connection.close();
        waiting.delete(message.id);
      } else if (connection !== undefined) {
        pass({ to: message.to, slot: message.slot, from }, message, connection);
      }
    },
    gone: (key) => {
      for (const [id, lost] of waiting) {
        if (lost.to !== key) continue;
        waiting.delete(id);
        pass({ to: null, slot: lost.slot, from: lost.from }, lost, lost.connection);
      }
    },
  };
}

interface Wish {
  readonly from: WorkerKey;
  readonly to: WorkerKey | null;
  readonly slot: number | null;
}
