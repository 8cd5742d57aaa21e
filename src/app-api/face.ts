/** A length of time: ms as a number, or a text such as `'500ms'`, `'30s'`, `'5m'`, `'2h'`, `'1d'`. */
export type Duration = number | string;

/** What can be kept and sent: dates, buffers, maps and instances of classes are refused, with the path of what is not JSON. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json | undefined };

/** A queue of jobs, which outlive the process. Those of all workers with the same name are the same queue. */
export declare function queue<Data = Json>(name: string): Queue<Data>;

export interface Queue<Data = Json> {
  /**
   * Adds a job; resolves when it is safe. `added` is false where the queue knows the id already: from a job that waits, runs,
   * has failed, or was done within the last 24 hours.
   */
  add(data: Data, options?: AddOptions): Promise<{ readonly id: string; readonly added: boolean }>;
  /**
   * Handles jobs in this process until `close`, or until the worker drains. A handler that throws has the job tried again,
   * later each time; after its last attempt it is in the list of failed ones.
   */
  work(handler: JobHandler<Data>, options?: WorkOptions): { close(): Promise<void> };
  counts(): Promise<QueueCounts>;
  /** The newest come first. @param limit 100 unless it says so */
  failed(limit?: number): Promise<readonly FailedJob<Data>[]>;
  /** Gives a failed job all of its attempts again. */
  retry(id: string): Promise<void>;
}

/** @param signal is aborted where the job is no longer this handler's */
export type JobHandler<Data> = (job: Job<Data>, signal: AbortSignal) => unknown;

export interface AddOptions {
  /** Adding a job of the same id again does nothing. Made up where it is left out. */
  readonly id?: string;
  readonly name?: string;
  /** How often it is tried at most: 3. */
  readonly attempts?: number;
  /** Before the second attempt: 1 s. Twice as long before each further one, at most an hour. */
  readonly backoff?: Duration;
  /** Before the first attempt. */
  readonly delay?: Duration;
  /** 0 (the default) comes first, 2,097,151 last. */
  readonly priority?: number;
}

export interface WorkOptions {
  /** How many jobs this process handles at once: 1. */
  readonly concurrency?: number;
}

export interface Job<Data = Json> {
  readonly queue: string;
  readonly id: string;
  readonly name: string | null;
  readonly data: Data;
  /** The number of this attempt, from 1. */
  readonly attempt: number;
  readonly attempts: number;
  readonly addedAtMs: number;
}

export interface QueueCounts {
  readonly waiting: number;
  readonly delayed: number;
  readonly active: number;
  readonly completed: number;
  readonly failed: number;
}

export interface FailedJob<Data = Json> {
  readonly id: string;
  readonly name: string | null;
  readonly data: Data;
  readonly attempts: number;
  readonly failedAtMs: number;
  /** The message of the last error. */
  readonly error: string;
}

/**
 * Calls the handler at the times of a cron expression, in one worker of the service. A time that comes while the handler
 * still runs is skipped.
 */
export declare function schedule(
  name: string,
  cron: string,
  handler: (time: ScheduledTime, signal: AbortSignal) => unknown,
  options?: ScheduleOptions,
): Schedule;

export interface ScheduleOptions {
  /** Such as `America/Sao_Paulo`: the machine's where it is left out. */
  readonly timezone?: string;
  /** How often it is tried at most: once. */
  readonly attempts?: number;
  readonly backoff?: Duration;
}

export interface ScheduledTime {
  /** The time that the expression names, not the time of the call. */
  readonly dueAtMs: number;
  readonly attempt: number;
}

export interface Schedule {
  /** The next time; null: there is none. */
  next(): Date | null;
  close(): Promise<void>;
}

/** Values that all workers share, which outlive the process. @param name of the group, without `:` */
export declare function state<Value = Json>(name: string): State<Value>;

export interface State<Value = Json> {
  get(key: string): Promise<Value | undefined>;
  /** With its version, for `set` with `ifVersion`. */
  entry(key: string): Promise<{ readonly value: Value; readonly version: number } | undefined>;
  /** Rejects with the code `version` where `ifVersion` is not its version; 0 stands for no entry. */
  set(key: string, value: Value, options?: SetOptions): Promise<{ readonly version: number }>;
  /**
   * Sets what `change` makes of the value, which is called again where another worker was faster. The time to live stays
   * unless `ttl` says another one.
   */
  update(
    key: string,
    change: (value: Value | undefined) => Value | Promise<Value>,
    options?: { readonly ttl?: Duration },
  ): Promise<Value>;
  /** Adds to a number, 0 where there is none; `ttl` counts for a new entry only. @param by 1 unless it says so */
  increment(key: string, by?: number, options?: { readonly ttl?: Duration }): Promise<number>;
  /** Whether there was one. */
  delete(key: string): Promise<boolean>;
  /** What is left of its time to live, ms. null: it stays; undefined: there is none. */
  ttl(key: string): Promise<number | null | undefined>;
}

export interface SetOptions {
  readonly ttl?: Duration;
  readonly ifVersion?: number;
}

/** A lock that one process of the service has at a time. */
export declare function lock(name: string): Lock;

export interface Lock {
  /**
   * Runs the task when the lock is free, and frees it then.
   *
   * @param task is given a token greater than that of every holder before, for what the lock protects to refuse a holder that
   *   came too late; and a signal that is aborted where the lock was lost
   */
  run<Result>(
    task: (token: number, signal: AbortSignal) => Result | Promise<Result>,
    options?: LockOptions,
  ): Promise<Result>;
}

export interface LockOptions {
  /** It is free again when its process says nothing for so long: 30 s. */
  readonly ttl?: Duration;
  /** Rejects with the code `busy` where it is not free within that time. Without it, waits until it is. */
  readonly wait?: Duration;
}

/** A channel to all workers, the sender's own process too. Who is not there misses the message. */
export declare function broadcast<Message = Json>(channel: string): Broadcast<Message>;

export interface Broadcast<Message = Json> {
  send(message: Message): Promise<void>;
  /** @returns what ends it */
  on(take: (message: Message) => void): () => void;
}

/** What calls reject with. */
export declare class BackplaneError extends Error {
  /**
   * `input`: an argument is wrong, and named. `version`: another was faster. `type`: no number. `lost`: the lock, or the job,
   * is another's. `missing`: there is no such job. `full`: it could not be saved. `gone`: nobody answers, or whether it was
   * done is unknown. `busy`: the lock is not free, or there is too much at once. `away`: Redis does not answer.
   */
  readonly code: 'input' | 'version' | 'type' | 'lost' | 'missing' | 'full' | 'gone' | 'busy' | 'away';
}
