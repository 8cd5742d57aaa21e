import type { Socket } from 'node:net';
import { longestLine, type Op, type Reply, type Request } from '../protocol/backplane-socket.js';
import { checkRequest } from './check.js';
import {
  type Engine,
  EngineError,
  type FailedJob,
  type HeldJob,
  type Json,
  type NewJob,
  type Owner,
  type Working,
} from './engine.js';
import { cutLines } from './lines.js';
import type { Owners } from './owners.js';

export interface ConnectionSeam {
  readonly engine: Engine;
  readonly owners: Owners;
  readonly onProblem: (message: string) => void;
}

/** Requests of one client that are not answered yet: with more, nothing is read from it until some are. */
const mostPending = 1_000;
/** What one client may leave unread, bytes: it does not keep up, and its connection ends. */
const mostUnread = 64 * 1024 * 1024;

type Of<Name extends Op> = Extract<Request, { op: Name }>;
type Answers = { readonly [Name in Op]: (request: Of<Name>) => unknown };

/** Answers one client of the socket until its connection ends. */
export function serveClient(socket: Socket, { engine, owners, onProblem }: ConnectionSeam): void {
  let owner: Owner | null = null;
  let pending = 0;
  let isOpen = true;
  const works = new Map<number, Working>();
  const subscriptions = new Map<string, () => void>();
  /** What forgets the locks of this client at its death. */
  const wills = new Map<string, () => void>();

  const say = (reply: Reply): void => {
    if (!isOpen) return;
    socket.write(`${JSON.stringify(reply)}\n`);
    if (socket.writableLength <= mostUnread) return;
    onProblem(`a client (PID ${owner?.pid}) does not read what it asked for: its connection ends`);
    socket.destroy();
  };
  const settled = (job: HeldJob): void => say({ push: 'settled', job });
  const known = (): Owner => {
    if (owner === null) throw new EngineError('input', 'op: expected hello as the first request');
    return owner;
  };
  const keep = (name: string, token: number): void => {
    const { id } = known();
    const key = JSON.stringify([name, token]);
    wills.set(
      key,
      owners.onDeath(id, () => void engine.release(name, token).catch(() => {})),
    );
  };

  const answers: Answers = {
    hello: ({ owner: who, holding }) => {
      if (owner !== null) throw new EngineError('input', 'op: hello was said before');
      owner = who;
      const unknown = owners.attach(who, holding, settled);
      const handle = (job: HeldJob): Promise<Json> => owners.hold(who.id, heldOf(job));
      const onSettled = (job: HeldJob): void => owners.settled(who.id, job);
      if (engine.reclaim !== undefined) engine.reclaim(who, unknown, { handle, onSettled });
      else for (const job of unknown) settled(job);
      return { engine: engine.health().kind };
    },
    add: ({ queue, job }) => engine.add(queue, job as NewJob),
    work: ({ work, queue, concurrency }) => {
      const who = known();
      if (works.has(work)) throw new EngineError('input', `work: ${work} is in use by this client`);
      const working = engine.work(
        queue,
        concurrency,
        (job) => {
          const held = owners.hold(who.id, heldOf(job));
          say({ push: 'job', work, job });
          return held;
        },
        { owner: who, onSettled: (job) => owners.settled(who.id, job) },
      );
      works.set(work, working);
      return null;
    },
    unwork: ({ work }) => {
      void works
        .get(work)
        ?.close()
        .catch(() => {});
      works.delete(work);
      return null;
    },
    end: ({ job, error }) => {
      // It is another's, or was said before.
      if (!owners.end(known().id, job, error ?? null)) settled(job);
    },
    queues: () => engine.queues(),
    counts: ({ queue }) => engine.counts(queue),
    failed: async ({ queue, limit }) => fitting(await engine.failed(queue, limit)),
    retry: ({ queue, job }) => engine.retry(queue, job),
    get: ({ key }) => engine.get(key),
    set: ({ key, value, ttlMs, ifVersion }) =>
      engine.set(key, value as Json, {
        ...(ttlMs === undefined ? {} : { ttlMs }),
        ...(ifVersion === undefined ? {} : { ifVersion }),
      }),
    delete: ({ key }) => engine.delete(key),
    increment: ({ key, by, ttlMs }) => engine.increment(key, by, ttlMs === undefined ? {} : { ttlMs }),
    acquire: async ({ name, ttlMs, waitMs }) => {
      known();
      const lock = await engine.acquire(name, ttlMs, waitMs);
      if (lock === null) return null;
      if (isOpen) keep(name, lock.token);
      else await lock.release();
      return { token: lock.token };
    },
    extend: async ({ name, token, ttlMs }) => {
      await engine.extend(name, token, ttlMs);
      // After a restart nobody here knows whose it is.
      if (!wills.has(JSON.stringify([name, token]))) keep(name, token);
    },
    release: ({ name, token }) => {
      const key = JSON.stringify([name, token]);
      wills.get(key)?.();
      wills.delete(key);
      return engine.release(name, token);
    },
    publish: ({ channel, message }) => engine.publish(channel, message as Json),
    subscribe: ({ channel }) => {
      if (subscriptions.has(channel)) return null;
      const end = engine.subscribe(channel, (message) => say({ push: 'message', channel, message }));
      subscriptions.set(channel, end);
      return null;
    },
    unsubscribe: ({ channel }) => {
      subscriptions.get(channel)?.();
      subscriptions.delete(channel);
      return null;
    },
    health: () => engine.health(),
  };

  const answer = async (id: number, raw: Readonly<Record<string, unknown>>): Promise<void> => {
    try {
      const request = checkRequest(raw);
      if (request.op !== 'hello') known();
      // One function for each op: TypeScript cannot see that the request fits the function.
      const value = await (answers[request.op] as (request: Request) => unknown)(request);
      if (request.op !== 'end') say({ id, ok: true, value: value ?? null });
    } catch (error) {
      const code = error instanceof EngineError ? error.code : 'bug';
      const message = error instanceof Error ? error.message : String(error);
      if (code === 'bug') onProblem(`${String(raw.op)}: ${(error as Error)?.stack ?? message}`);
      say({ id, ok: false, code, message });
    }
  };
  const refuse = (message: string): void => {
    say({ push: 'error', message });
    socket.end();
    socket.pause();
  };
  const onLine = (line: string): void => {
    const raw = parse(line);
    if (raw === null) return refuse(`expected a line of JSON with an object, not ${line.slice(0, 100)}`);
    const { id } = raw;
    if (!Number.isSafeInteger(id) && raw.op !== 'end')
      return refuse(`id: ${JSON.stringify(id) ?? 'nothing'} is not right: expected a whole number`);
    // Whoever waits for a lock does not keep others from asking.
    const counts = raw.op !== 'acquire';
    if (counts && ++pending === mostPending) socket.pause();
    void answer(Number(id), raw).finally(() => {
      if (counts && pending-- === mostPending) socket.resume();
    });
  };

  socket.setEncoding('utf8');
  const tooLong = (): void => refuse(`a line has more than ${longestLine} characters`);
  socket.on(
    'data',
    cutLines(onLine, { longest: longestLine, onTooLong: tooLong }) as (chunk: unknown) => void,
  );
  socket.on('error', () => {});
  socket.once('close', () => {
    isOpen = false;
    for (const working of works.values()) void working.close().catch(() => {});
    for (const end of subscriptions.values()) end();
    if (owner !== null) owners.detach(owner.id, settled);
  });
}

/** As many of the first ones as a line has room for, and one at least. @param room characters */
export function fitting(jobs: readonly FailedJob[], room = longestLine): readonly FailedJob[] {
  let left = room;
  const end = jobs.findIndex((job) => {
    left -= JSON.stringify(job).length + 1;
    return left < 0;
  });
  return end === -1 ? jobs : jobs.slice(0, Math.max(1, end));
}

function heldOf({ queue, id, attempt }: HeldJob): HeldJob {
  return { queue, id, attempt };
}

function parse(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
