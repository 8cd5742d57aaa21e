import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import {
  type Added,
  type Engine,
  EngineError,
  type EngineErrorCode,
  type EngineHealth,
  type FailedJob,
  type Handle,
  type HeldJob,
  type HeldLock,
  type Job,
  type Json,
  messageOf,
  type QueueCounts,
  type StateEntry,
  tellOne,
  type Working,
} from '../backplane/engine.js';
import { cutLines } from '../backplane/lines.js';
import {
  longestLine,
  longestReply,
  type Op,
  type Reply,
  type Request,
  socketVersion,
} from '../protocol/backplane-socket.js';

export interface ClientSeam {
  /** Of the backplane's socket. */
  readonly path: string;
  /** Nobody listens there: has it started. */
  readonly start: () => void;
  readonly pid: number;
}

/** Before another attempt to connect, ms: each time twice as long. */
const firstPause = 20;
const longestPause = 1_000;
/** How long a request waits for the backplane, ms. */
const patience = 30_000;
/** Requests that wait for an answer. */
const mostPending = 100_000;

/** What has the same outcome when it is done twice, or does nothing the second time. */
const idempotent: ReadonlySet<Op> = new Set<Op>([
  'add',
  'queues',
  'counts',
  'failed',
  'get',
  'delete',
  'acquire',
  'extend',
  'release',
  'subscribe',
  'unsubscribe',
  'health',
]);
/** Said anew with each connection, from what is wanted then. */
const standing: ReadonlySet<Op> = new Set<Op>(['work', 'unwork', 'subscribe', 'unsubscribe']);

type Ask = Exclude<Request, { op: 'hello' | 'end' }>;

interface Pending {
  readonly request: Ask;
  /** As it is sent. */
  readonly line: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | null;
  isSent: boolean;
}

interface Work {
  readonly queue: string;
  readonly concurrency: number;
  readonly handle: Handle;
  isClosing: boolean;
  active: number;
  onIdle: () => void;
}

/** A job that this process has, until the backplane has saved what came of it. */
interface Held {
  readonly job: HeldJob;
  readonly work: Work;
  readonly controller: AbortController;
  /** null: its handler runs. */
  end: { readonly error?: string } | null;
}

/**
 * The engine of the backplane, over its socket. It connects with the first request, and again whenever the connection
 * breaks: handlers go on meanwhile, subscriptions are made anew, and requests are repeated where that does no harm.
 */
export function createClient({ path, start, pid }: ClientSeam): Engine {
  const owner = { id: randomUUID(), pid };
  let socket: Socket | null = null;
  /** It has answered `hello`. */
  let isReady = false;
  let isClosed = false;
  let pause = firstPause;
  let lastId = 0;
  let retry: NodeJS.Timeout | null = null;
  /** The backplane speaks another version. */
  let refusal: EngineError | null = null;
  const pending = new Map<number, Pending>();
  const works = new Map<number, Work>();
  const held = new Map<string, Held>();
  const subscribers = new Map<string, Set<(message: Json) => void>>();

  /** Who works, or waits for an answer, keeps the process running. */
  const setRef = (): void => {
    const isNeeded = pending.size > 0 || works.size > 0 || held.size > 0;
    if (isNeeded) socket?.ref();
    else socket?.unref();
    if (isNeeded) retry?.ref();
    else retry?.unref();
  };
  const send = (line: object): void => {
    socket?.write(`${JSON.stringify(line)}\n`);
  };
  const settle = (id: number, outcome: (request: Pending) => void): void => {
    const request = pending.get(id);
    if (request === undefined) return;
    pending.delete(id);
    if (request.timer !== null) clearTimeout(request.timer);
    outcome(request);
    setRef();
  };
  const fail = (error: EngineError, which: (request: Pending) => boolean): void => {
    for (const [id, request] of pending) if (which(request)) settle(id, ({ reject }) => reject(error));
  };

  const open = (): void => {
    if (socket !== null || isClosed) return;
    if (retry !== null) clearTimeout(retry);
    retry = null;
    const next = connect(path);
    socket = next;
    next.setEncoding('utf8');
    next.once('connect', () => {
      const holding = [...held.values()].map(({ job }) => job);
      send({ id: 0, op: 'hello', version: socketVersion, owner, holding });
    });
    const tooLong = (): void => void next.destroy();
    const onLine = (line: string): void => {
      const reply = parse(line);
      // Whoever listens there is no backplane.
      if (reply === null) next.destroy();
      else receive(reply);
    };
    next.on(
      'data',
      cutLines(onLine, { longest: longestReply, onTooLong: tooLong }) as (chunk: unknown) => void,
    );
    next.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') start();
    });
    next.once('close', () => {
      if (socket !== next) return;
      socket = null;
      isReady = false;
      const lost = new EngineError(
        'gone',
        'the backplane ended before it answered: whether it was done is unknown',
      );
      fail(lost, ({ isSent, request }) => isSent && !idempotent.has(request.op));
      for (const request of pending.values()) request.isSent = false;
      if (isClosed || (pending.size === 0 && works.size === 0 && held.size === 0 && subscribers.size === 0))
        return;
      retry = setTimeout(open, pause);
      pause = Math.min(2 * pause, longestPause);
      setRef();
    });
    setRef();
  };
  const greeted = (reply: Extract<Reply, { id: number }>): void => {
    if (!reply.ok) {
      refusal = errorOf(reply);
      fail(refusal, () => true);
      isClosed = true;
      socket?.destroy();
      return;
    }
    isReady = true;
    pause = firstPause;
    for (const [work, { queue, concurrency, isClosing }] of works)
      if (!isClosing) send({ id: ++lastId, op: 'work', work, queue, concurrency });
    for (const channel of subscribers.keys()) send({ id: ++lastId, op: 'subscribe', channel });
    for (const { job, end } of held.values()) if (end !== null) send({ op: 'end', job, ...end });
    for (const [id, request] of pending) {
      if (standing.has(request.request.op)) settle(id, ({ resolve }) => resolve(null));
      else transmit(request);
    }
  };
  const transmit = (pending: Pending): void => {
    pending.isSent = true;
    socket?.write(`${pending.line}\n`);
  };
  const receive = (reply: Reply): void => {
    if ('push' in reply) return receivePush(reply);
    if (reply.id === 0) return greeted(reply);
    settle(reply.id, ({ resolve, reject }) => (reply.ok ? resolve(reply.value) : reject(errorOf(reply))));
  };
  const receivePush = (reply: Extract<Reply, { push: string }>): void => {
    switch (reply.push) {
      case 'job':
        return begin(reply.work, reply.job as Job);
      case 'settled': {
        const entry = held.get(keyOf(reply.job));
        // Where its handler runs it has lost the job.
        entry?.controller.abort(new EngineError('lost', 'the job was given to another handler'));
        return drop(reply.job);
      }
      case 'message':
        for (const take of [...(subscribers.get(reply.channel) ?? [])]) tellOne(take, reply.message as Json);
        return;
      case 'error':
        socket?.destroy();
    }
  };
  const drop = (job: HeldJob): void => {
    const entry = held.get(keyOf(job));
    if (entry === undefined) return;
    held.delete(keyOf(job));
    entry.work.active--;
    if (entry.work.isClosing && entry.work.active === 0) entry.work.onIdle();
    setRef();
  };
  const begin = (number: number, job: Job): void => {
    const { queue, id, attempt } = job;
    const reference = { queue, id, attempt };
    const work = works.get(number);
    if (work === undefined) return send({ op: 'end', job: reference, error: 'nobody handles it here' });
    const entry: Held = { job: reference, work, controller: new AbortController(), end: null };
    held.set(keyOf(reference), entry);
    work.active++;
    const ended = (end: { error?: string }): void => {
      if (held.get(keyOf(reference)) !== entry) return;
      entry.end = end;
      if (isReady) send({ op: 'end', job: reference, ...end });
    };
    new Promise<unknown>((resolve) => resolve(work.handle(job, entry.controller.signal))).then(
      () => ended({}),
      (error: unknown) => ended({ error: messageOf(error) }),
    );
  };
  const ask = <Value>(request: Ask, waitMs = patience): Promise<Value> => {
    if (refusal !== null) return Promise.reject(refusal);
    if (isClosed)
      return Promise.reject(new EngineError('gone', 'the connection to the backplane was closed'));
    if (pending.size >= mostPending) {
      return Promise.reject(
        new EngineError('busy', `more than ${mostPending} requests wait for the backplane already`),
      );
    }
    const id = ++lastId;
    const line = JSON.stringify({ id, ...request });
    if (line.length > longestLine) {
      const message = `${request.op}: it has ${line.length} characters as JSON: expected at most ${longestLine}`;
      return Promise.reject(new EngineError('input', message));
    }
    return new Promise<Value>((resolve, reject) => {
      const late = (): void =>
        settle(id, () =>
          reject(
            new EngineError('gone', `the backplane at ${path} did not answer within ${waitMs / 1_000} s`),
          ),
        );
      const entry: Pending = {
        ...{ request, line, resolve: resolve as (value: unknown) => void, reject },
        timer: setTimeout(late, waitMs),
        isSent: false,
      };
      pending.set(id, entry);
      if (isReady) transmit(entry);
      else open();
      setRef();
    });
  };

  const lockOf = (name: string, token: number, ttlMs: number): HeldLock => ({
    token,
    extend: () => ask({ op: 'extend', name, token, ttlMs }),
    release: () => ask({ op: 'release', name, token }),
  });
  return {
    // With an id of its own it can be repeated.
    add: (queue, job) => ask<Added>({ op: 'add', queue, job: { ...job, id: job.id ?? randomUUID() } }),
    work: (queue, concurrency, handle): Working => {
      const number = ++lastId;
      const work: Work = { queue, concurrency, handle, isClosing: false, active: 0, onIdle: () => {} };
      works.set(number, work);
      ask({ op: 'work', work: number, queue, concurrency }).catch(() => {});
      let closing: Promise<void> | null = null;
      const close = async (): Promise<void> => {
        work.isClosing = true;
        // What comes before the answer is ours.
        if (isReady) await ask({ op: 'unwork', work: number }).catch(() => {});
        if (work.active > 0)
          await new Promise<void>((resolve) => {
            work.onIdle = resolve;
          });
        works.delete(number);
        setRef();
      };
      return {
        close: () => {
          closing ??= close();
          return closing;
        },
      };
    },
    queues: () => ask<string[]>({ op: 'queues' }),
    counts: (queue) => ask<QueueCounts>({ op: 'counts', queue }),
    failed: (queue, limit) => ask<FailedJob[]>({ op: 'failed', queue, limit }),
    retry: (queue, job) => ask({ op: 'retry', queue, job }),
    get: async (key) => (await ask<StateEntry | null>({ op: 'get', key })) ?? undefined,
    set: (key, value, options = {}) => ask({ op: 'set', key, value, ...options }),
    delete: (key) => ask({ op: 'delete', key }),
    increment: (key, by, options = {}) => ask({ op: 'increment', key, by, ...options }),
    acquire: async (name, ttlMs, waitMs) => {
      const got = await ask<{ token: number } | null>(
        { op: 'acquire', name, ttlMs, waitMs },
        waitMs + patience,
      );
      return got === null ? null : lockOf(name, got.token, ttlMs);
    },
    extend: (name, token, ttlMs) => ask({ op: 'extend', name, token, ttlMs }),
    release: (name, token) => ask({ op: 'release', name, token }),
    publish: (channel, message) => ask({ op: 'publish', channel, message }),
    subscribe: (channel, take) => {
      const all = subscribers.get(channel) ?? new Set();
      if (all.size === 0) {
        subscribers.set(channel, all);
        ask({ op: 'subscribe', channel }).catch(() => {});
      }
      all.add(take);
      return () => {
        all.delete(take);
        if (all.size > 0 || subscribers.get(channel) !== all) return;
        subscribers.delete(channel);
        if (isReady) ask({ op: 'unsubscribe', channel }).catch(() => {});
      };
    },
    health: (): EngineHealth => ({ kind: 'embedded', connected: isReady }),
    close: async () => {
      isClosed = true;
      for (const { controller } of held.values()) controller.abort();
      fail(new EngineError('gone', 'the connection to the backplane was closed'), () => true);
      socket?.destroy();
    },
  };
}

function errorOf({ code, message }: { readonly code: string; readonly message: string }): EngineError {
  return new EngineError(code as EngineErrorCode, message);
}

function keyOf({ queue, id, attempt }: HeldJob): string {
  return JSON.stringify([queue, id, attempt]);
}

function parse(line: string): Reply | null {
  try {
    return JSON.parse(line) as Reply;
  } catch {
    return null;
  }
}
