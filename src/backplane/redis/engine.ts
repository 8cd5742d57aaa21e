import { randomUUID } from 'node:crypto';
import type { Engine, Job, Json, NewJob, Working } from '../engine.js';
import { redisChannels } from './channels.js';
import { type Connection, isOfConnection } from './connection.js';
import { redisLocks } from './lock.js';
import { redisQueues } from './queues.js';
import { redisState } from './state.js';

export interface RedisEngineOptions {
  readonly connection: Connection;
  /** Name of the fleet: what is shared begins with it in Redis. */
  readonly fleet: string;
  /** Where Redis is, for the log. */
  readonly shown: string;
  /** Keeps on disk what is added while Redis is away. */
  readonly journal: Pick<Engine, 'add' | 'work' | 'counts'>;
  readonly info: (message: string) => void;
  readonly warn: (message: string) => void;
  readonly lockMs?: number;
}

/** The queue of the embedded engine in which jobs wait for Redis. */
const outbox = 'rom-agent.outbox';
/** It says that Redis is away when it has been for so long at the start, ms: a connection takes a moment. */
const startsWithin = 10_000;

/**
 * The engine of several hosts. While Redis is away, `add` keeps jobs in the journal on this host and moves them under the
 * same id when Redis is back; a broadcast reaches this host; everything else says that Redis does not answer.
 */
export function redisEngine(options: RedisEngineOptions): Engine {
  const { connection, fleet, shown, journal, info, warn, lockMs } = options;
  const prefix = keyPrefix(fleet);
  const queues = redisQueues(connection, { prefix, warn, ...(lockMs === undefined ? {} : { lockMs }) });
  const state = redisState(connection, prefix);
  const locks = redisLocks(connection, prefix);
  const channels = redisChannels(connection, prefix);

  let mover: Working | null = null;
  const move = async (job: Job): Promise<Json> => {
    const { queue, keptAtMs, ...kept } = job.data as unknown as Kept;
    const delayMs = Math.max((kept.delayMs ?? 0) - (Date.now() - keptAtMs), 0);
    await queues.add(queue, { ...kept, delayMs });
    return null;
  };
  const keep = async (queue: string, job: NewJob & { readonly id: string }) => {
    const kept: Kept = { ...job, queue, keptAtMs: Date.now() };
    const { added } = await journal.add(outbox, {
      // Not `/` between them: both may have one.
      id: JSON.stringify([queue, job.id]),
      data: JSON.parse(JSON.stringify(kept)) as Json,
      attempts: Number.MAX_SAFE_INTEGER,
    });
    return { id: job.id, added };
  };
  const startMoving = (): void => {
    mover ??= journal.work(outbox, movedAtOnce, move);
  };
  const stopMoving = (): void => {
    void mover?.close();
    mover = null;
  };

  let warned = false;
  const sayLost = (): void => {
    if (warned) return;
    warned = true;
    warn(
      `lost Redis at ${shown} (${connection.reason() ?? 'no reason known'}): jobs are kept on this host until it is back, ` +
        'broadcasts reach this host only, and schedules, locks and shared state wait',
    );
  };
  const first = setTimeout(() => {
    if (!connection.isConnected()) sayLost();
  }, startsWithin);
  first.unref();
  const back = async (): Promise<void> => {
    startMoving();
    if (!warned) return;
    warned = false;
    const waiting = await journal.counts(outbox).then(
      (counts) => counts.waiting + counts.delayed + counts.active,
      () => 0,
    );
    info(`Redis at ${shown} is back: ${waiting} jobs that were kept on this host are moved there`);
  };
  const forget = connection.onChange((connected) => {
    if (connected) return void back();
    stopMoving();
    sayLost();
  });
  if (connection.isConnected()) startMoving();

  return {
    add: async (queue, job) => {
      const named = { ...job, id: job.id ?? randomUUID() };
      if (!connection.isConnected()) return keep(queue, named);
      try {
        return await queues.add(queue, named);
      } catch (error) {
        if (!isOfConnection(error) && !isAway(error)) throw error;
        // It may have got there: the id keeps it from being there twice.
        return keep(queue, named);
      }
    },
    work: queues.work,
    queues: queues.queues,
    counts: queues.counts,
    failed: queues.failed,
    retry: queues.retry,
    ...state,
    acquire: (name, ttlMs, waitMs) => locks.acquire({ name, ttlMs, waitMs }),
    extend: locks.extend,
    release: locks.release,
    ...channels,
    health: () => {
      const lostAtMs = connection.lostSinceMs();
      return lostAtMs === null
        ? { kind: 'redis', connected: true }
        : { kind: 'redis', connected: false, lostAtMs };
    },
    close: async () => {
      clearTimeout(first);
      forget();
      await mover?.close();
      await queues.close();
      await connection.close();
    },
  };
}

/** Braces keep the keys of a fleet in one slot of a Redis Cluster, as BullMQ's scripts need it. */
export function keyPrefix(fleet: string): string {
  return `{rom-agent:${fleet}}:`;
}

const movedAtOnce = 16;

type Kept = NewJob & { readonly id: string; readonly queue: string; readonly keptAtMs: number };

function isAway(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'away';
}
