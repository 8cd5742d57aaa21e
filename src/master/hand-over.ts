import { Socket, type SocketConstructorOpts } from 'node:net';
import type { Worker } from '../core/state.js';
import type { Ready } from '../core/workers.js';
import type { RawHandle } from '../protocol/handles.js';
import type {
  HandedOn,
  HandOnMessage,
  MasterMessage,
  Outcome,
  ReadyWorker,
  WorkerKey,
} from '../protocol/messages.js';

/*
 * The master's half of a move; worker/transfer/hand-on.ts has the whole way, and why a connection moves. `hand-on` comes with
 * the connection and is answered by `handed`; `pass` chooses a worker and sends it `take` with the connection; `taken` ends
 * it, or has it passed to the next one. Until then the master keeps a copy: no death of a worker loses a connection.
 */

/** Carries connections from worker to worker. */
export interface HandOver {
  receive(from: WorkerKey, message: HandOnMessage, connection: RawHandle | undefined): void;
  /** The worker has exited, and its last message has been read: connections that it had not taken go to another. */
  gone(key: WorkerKey): void;
}

export interface HandOverSeam {
  /** The workers that are ready, the least busy first. */
  readonly ready: () => readonly ReadyWorker[];
  /** Whether the worker has not exited yet. */
  readonly isAlive: (key: WorkerKey) => boolean;
  readonly hand: (
    key: WorkerKey,
    message: Extract<MasterMessage, { type: 'take' }>,
    connection: RawHandle,
  ) => void;
  readonly send: (key: WorkerKey, message: Extract<MasterMessage, { type: 'handed' }>) => void;
  /** ms, by a clock that the workers share. */
  readonly now: () => number;
  /** Calls back after so many ms, once the messages that had arrived by then have been read. */
  readonly after: (delay: number, act: () => void) => () => void;
  /** See endConnection. */
  readonly end: (connection: RawHandle) => void;
  readonly onTrouble: (trouble: Trouble) => void;
}

/**
 * What went wrong with a connection on its way. `to-master` and `to-worker`: the kernel dropped it, because the receiver had
 * no file descriptor left. `late`: a worker did not take it in time. `ended`: no worker took it, and it was closed.
 */
export type Trouble = 'to-master' | 'to-worker' | 'late' | 'ended';

interface Waiting extends HandedOn {
  readonly from: WorkerKey;
  readonly to: WorkerKey;
  readonly slot: number | null;
  readonly connection: RawHandle;
  /** The workers that did not take it; `to` is not among them yet. */
  readonly tried: readonly WorkerKey[];
  readonly forget: () => void;
}

/**
 * So often may a connection come back from workers that have no server or no room for it; it is closed then. Workers that
 * die or are late do not count: `tried` has them.
 */
const mostHops = 4;
/** How long a worker has to take a connection, ms ... */
const lease = 5_000;
/** ... and how much later another worker gets it: a worker that took it in time reads from it within this. */
const margin = 1_000;

/**
 * The master keeps its copy of a connection until the receiving worker reports that it reads from it. A worker that dies
 * before that has not touched the connection, and the next worker gets it as it is. The same holds for a worker that does
 * not take it in time: it closes a connection that it finds too late.
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
  /** The worker it is meant for, else the one in that slot now, else the least busy one, else the one that had it. */
  const choose = ({ to, slot, from, tried }: Wish): WorkerKey | null => {
    const workers = ready().filter(({ key }) => !tried.includes(key));
    const newest = workers.filter((worker) => worker.slot === slot).sort((a, b) => b.key - a.key);
    const wanted = workers.find(({ key }) => key === to) ?? newest[0];
    const other = wanted ?? workers.find(({ key }) => key !== from);
    if (other !== undefined) return other.key;
    // A draining worker still answers: see worker/drain/drain.ts.
    return [to, from].find((key) => key !== null && !tried.includes(key) && isAlive(key)) ?? null;
  };
  const settle = (id: number): Waiting | undefined => {
    const settled = waiting.get(id);
    settled?.forget();
    waiting.delete(id);
    return settled;
  };
  /** No worker has it: passes it to another. */
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
      // Before anything else: the worker keeps its copy until then, see worker/channel.ts.
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
 * Sends the client an end, and closes this copy. Closing alone would not reach the client while another copy is on its way
 * to a worker that hangs.
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

export interface InTroubleSeam {
  readonly warn: (message: string, fields: { readonly connections: number; readonly total: number }) => void;
  readonly after: (delay: number, act: () => void) => void;
}

const texts: Readonly<Record<Trouble, string>> = {
  'to-master':
    'a connection did not reach the master, which has no file descriptor left: it stays with its worker',
  'to-worker':
    'a connection did not reach a worker, which has no file descriptor left: another worker gets it',
  late: 'a worker did not take a connection that was handed to it in time: another worker gets it',
  ended: 'closed a connection that no worker took',
};

/** ms */
const quiet = 60_000;

/** Warns of connections that were lost on their way: of the first at once, of more of the kind once a minute. */
export function createInTrouble({ warn, after }: InTroubleSeam): (trouble: Trouble) => void {
  const totals = new Map<Trouble, number>();
  const untold = new Map<Trouble, number>();
  const tell = (trouble: Trouble): void => {
    const connections = untold.get(trouble) ?? 0;
    untold.delete(trouble);
    if (connections === 0) return;
    warn(texts[trouble], { connections, total: totals.get(trouble) ?? 0 });
    untold.set(trouble, 0);
    after(quiet, () => tell(trouble));
  };
  return (trouble) => {
    totals.set(trouble, (totals.get(trouble) ?? 0) + 1);
    const isFirst = !untold.has(trouble);
    untold.set(trouble, (untold.get(trouble) ?? 0) + 1);
    if (isFirst) tell(trouble);
  };
}

/** Workers that are ready: those with a recent heartbeat before the others, then by their number of kept connections. */
export function leastBusyFirst(
  workers: readonly Worker[],
  hasHeartbeat: (worker: Worker) => boolean,
): readonly ReadyWorker[] {
  return workers
    .filter((worker): worker is Ready => worker.phase === 'ready')
    .sort(
      (a, b) =>
        Number(hasHeartbeat(b)) - Number(hasHeartbeat(a)) ||
        (a.heartbeat?.kept ?? 0) - (b.heartbeat?.kept ?? 0),
    )
    .map(({ key, role }) => ({ key, slot: role.slot }));
}
