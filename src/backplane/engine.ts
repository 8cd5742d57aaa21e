/**
 * What queues, state, locks and broadcasts run on: the embedded engine (embedded/), or Redis (redis/). The socket server,
 * the app's own process under plain node, and the master's process for several hosts use it through this interface.
 *
 * Times in `...Ms` are durations; those in `atMs`, `dueMs` and `...AtMs` are Unix time in ms.
 */
export interface Engine {
  /**
   * Adds a job once per id; resolves when it is safe: on disk, or in Redis. `added` is false where the queue knows the id
   * already, from a job that waits, runs, has failed, or completed within the retention.
   *
   * @throws EngineError where it was not saved
   */
  add(queue: string, job: NewJob): Promise<Added>;
  /**
   * Hands jobs to `handle`, at most `concurrency` at a time. A rejection is retried by the job's rule; after its last
   * attempt the job is in the list of failed ones. `close` takes no more jobs and resolves when those in progress have
   * ended.
   */
  work(queue: string, concurrency: number, handle: Handle, options?: WorkOptions): Working;
  /**
   * A process is back that handled jobs of an engine that has ended since. Those in `held` that nobody else has go on with
   * `handle`; its others go back. `onSettled` hears at once of those that are not its own any longer. An engine without it
   * has its own ways.
   */
  reclaim?(
    owner: Owner,
    held: readonly HeldJob[],
    options: { readonly handle: Handle; readonly onSettled: (job: HeldJob) => void },
  ): void;
  /** The names of all queues that have had a job. */
  queues(): Promise<readonly string[]>;
  counts(queue: string): Promise<QueueCounts>;
  /** The newest come first. */
  failed(queue: string, limit: number): Promise<readonly FailedJob[]>;
  /** Gives a failed job all of its attempts again. @throws EngineError where the queue has no failed job of that id */
  retry(queue: string, id: string): Promise<void>;

  get(key: string): Promise<StateEntry | undefined>;
  /**
   * Without `ttlMs` the entry stays until it is deleted. `ifVersion` sets it only where that is its version; 0: only where
   * there is none.
   *
   * @throws EngineError with the code `version` where another was faster
   */
  set(key: string, value: Json, options?: SetOptions): Promise<{ readonly version: number }>;
  /** @returns whether there was one */
  delete(key: string): Promise<boolean>;
  /**
   * Adds to a number, 0 where there is none; an entry keeps its time to live, and `ttlMs` counts for a new one only.
   *
   * @throws EngineError with the code `type` where the value is not a number
   */
  increment(key: string, by: number, options?: { readonly ttlMs?: number }): Promise<number>;

  /**
   * A lock that is lost when it is not extended within `ttlMs`; null where it was not free within `waitMs`.
   */
  acquire(name: string, ttlMs: number, waitMs: number): Promise<HeldLock | null>;
  /**
   * Extends a lock that was acquired under this token, also from a process that has ended since.
   *
   * @throws EngineError with the code `lost` where another has it or had it
   */
  extend(name: string, token: number, ttlMs: number): Promise<void>;
  /** Does nothing where the lock is no longer held under this token. */
  release(name: string, token: number): Promise<void>;

  /** To all that subscribe at this moment, the sender's own process too: at most once, in the order of one sender. */
  publish(channel: string, message: Json): Promise<void>;
  /** @returns what ends it */
  subscribe(channel: string, take: (message: Json) => void): () => void;

  health(): EngineHealth;
  /** Saves what is to be saved. Handlers in progress are told by their signal; their jobs go back. */
  close(): Promise<void>;
}

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json | undefined };

export interface NewJob {
  /** Without one the engine makes one up. */
  readonly id?: string;
  readonly name?: string;
  readonly data: Json;
  /** How often it is handled at most: 3 unless it says so. */
  readonly attempts?: number;
  /** Before the second attempt; twice as long before each further one. 1,000 unless it says so. */
  readonly backoffMs?: number;
  /** Before the first attempt. */
  readonly delayMs?: number;
  /** 0 (the default) comes first, 2,097,151 last; within one, the oldest. */
  readonly priority?: number;
}

export const usualAttempts = 3;
export const usualBackoffMs = 1_000;
export const longestBackoffMs = 3_600_000;
export const lastPriority = 2_097_151;

export interface Added {
  readonly id: string;
  readonly added: boolean;
}

export interface Job {
  readonly queue: string;
  readonly id: string;
  readonly name: string | null;
  readonly data: Json;
  /** The number of this attempt, from 1. */
  readonly attempt: number;
  readonly attempts: number;
  readonly addedAtMs: number;
}

/** @returns what the job came to, which nobody keeps yet */
export type Handle = (job: Job, signal: AbortSignal) => Promise<Json>;

export interface WorkOptions {
  /** The process that handles, where that is another one than the engine's. */
  readonly owner?: Owner;
  /** What came of the job is saved: its handler's process may forget that it had it. */
  readonly onSettled?: (job: HeldJob) => void;
}

/** A process that handles jobs. A job that it has goes to nobody else while it lives and does not say that it gave it up. */
export interface Owner {
  /** Made up by that process; the same over its reconnections. */
  readonly id: string;
  readonly pid: number;
}

export interface HeldJob {
  readonly queue: string;
  readonly id: string;
  readonly attempt: number;
}

export interface Working {
  close(): Promise<void>;
}

export interface QueueCounts {
  readonly waiting: number;
  readonly delayed: number;
  readonly active: number;
  /** Since the state directory was made, or as far back as Redis keeps them. */
  readonly completed: number;
  readonly failed: number;
}

export interface FailedJob {
  readonly id: string;
  readonly name: string | null;
  readonly data: Json;
  readonly attempts: number;
  readonly failedAtMs: number;
  /** The message of the last error. */
  readonly error: string;
}

export interface StateEntry {
  readonly value: Json;
  /** Grows with each change, also over a deletion. 0 stands for no entry. */
  readonly version: number;
  /** null: it stays. */
  readonly ttlMs: number | null;
}

export interface SetOptions {
  readonly ttlMs?: number;
  readonly ifVersion?: number;
}

export interface HeldLock {
  /** Greater than the token of every holder before, also over restarts. */
  readonly token: number;
  /** For the same time again. @throws EngineError with the code `lost` */
  extend(): Promise<void>;
  release(): Promise<void>;
}

export interface EngineHealth {
  readonly kind: 'embedded' | 'redis';
  readonly connected: boolean;
  /** Since when it is not connected. */
  readonly lostAtMs?: number;
}

/**
 * `input`: an argument is wrong, and named. `version`, `type`, `lost`, `missing`: see Engine. `full`: it could not be saved.
 * `gone`: the engine, or the process that handled, is gone. `busy`: more at once than it takes. `away`: Redis does not
 * answer.
 */
export type EngineErrorCode =
  | 'input'
  | 'version'
  | 'type'
  | 'lost'
  | 'missing'
  | 'full'
  | 'gone'
  | 'busy'
  | 'away';

export class EngineError extends Error {
  readonly code: EngineErrorCode;

  constructor(code: EngineErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'EngineError';
    this.code = code;
  }
}

/** What a handler's promise rejects with where its process ended: the attempt counts, and the next one does not wait. */
export class HandlerGone extends EngineError {
  constructor(message: string) {
    super('gone', message);
    this.name = 'HandlerGone';
  }
}

/** Of what was thrown, whatever it is; at most 2,000 characters. */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error).slice(0, 2_000);
  } catch {
    return 'an error without a message';
  }
}

/** What one of several listeners throws is an uncaught exception, and keeps the message from nobody else. */
export function tellOne(take: (message: Json) => void, message: Json): void {
  try {
    take(message);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
