import type { StateEntry } from '../engine.js';
import { Queue, type QueueRecord } from './queue.js';
import type { JournalRecord } from './records.js';

interface Entry {
  readonly value: Extract<JournalRecord, { type: 'set' }>['value'];
  readonly version: number;
  readonly untilMs: number | null;
}

export interface Hold {
  readonly token: number;
  readonly untilMs: number;
}

/** Everything that the embedded engine keeps. It changes by records alone, so that reading them again gives the same. */
export class Store {
  readonly queues = new Map<string, Queue>();
  readonly locks = new Map<string, Hold>();
  readonly #entries = new Map<string, Entry>();
  /** Of the last change of any entry: a key that was deleted does not get a version again that it had. */
  #version = 0;
  #tokenLimit = 0;

  queue(name: string): Queue {
    let queue = this.queues.get(name);
    if (queue === undefined) {
      queue = new Queue(name);
      this.queues.set(name, queue);
    }
    return queue;
  }

  get(key: string, now: number): StateEntry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || isOver(entry, now)) return undefined;
    const { value, version, untilMs } = entry;
    return { value, version, ttlMs: untilMs === null ? null : untilMs - now };
  }

  untilMs(key: string): number | null {
    return this.#entries.get(key)?.untilMs ?? null;
  }

  nextVersion(): number {
    return this.#version + 1;
  }

  /** Of tokens that were set aside. */
  tokenLimit(): number {
    return this.#tokenLimit;
  }

  /** Forgets what is over. */
  sweep(now: number): void {
    for (const [key, entry] of this.#entries) if (isOver(entry, now)) this.#entries.delete(key);
    for (const [name, { untilMs }] of this.locks) if (untilMs <= now) this.locks.delete(name);
  }

  /** @returns what takes it back, where it was not saved */
  apply(record: JournalRecord): () => void {
    switch (record.type) {
      case 'set': {
        const { key, value, version, untilMs } = record;
        const before = this.#entries.get(key);
        this.#entries.set(key, { value, version, untilMs });
        this.#version = Math.max(this.#version, version);
        return () => this.#putBack(key, before);
      }
      case 'delete': {
        const before = this.#entries.get(record.key);
        this.#entries.delete(record.key);
        this.#version++;
        return () => this.#putBack(record.key, before);
      }
      case 'version':
        this.#version = Math.max(this.#version, record.version);
        return nothing;
      case 'tokens': {
        const before = this.#tokenLimit;
        this.#tokenLimit = Math.max(before, record.limit);
        return () => {
          this.#tokenLimit = before;
        };
      }
      case 'lock': {
        const { name, token, untilMs } = record;
        const before = this.locks.get(name);
        this.locks.set(name, { token, untilMs });
        return () => {
          if (before === undefined) this.locks.delete(name);
          else this.locks.set(name, before);
        };
      }
      case 'unlock':
        if (this.locks.get(record.name)?.token === record.token) this.locks.delete(record.name);
        return nothing;
      case 'completed':
        this.queue(record.queue).restore(record);
        return nothing;
      default:
        return this.queue(record.queue).apply(record satisfies QueueRecord);
    }
  }

  *snapshot(now: number): Iterable<JournalRecord> {
    this.sweep(now);
    yield { type: 'version', version: this.#version };
    yield { type: 'tokens', limit: this.#tokenLimit };
    for (const [name, { token, untilMs }] of this.locks) yield { type: 'lock', name, token, untilMs };
    for (const [key, { value, version, untilMs }] of this.#entries)
      yield { type: 'set', key, value, version, untilMs };
    for (const queue of this.queues.values()) yield* queue.snapshot(now);
  }

  #putBack(key: string, before: Entry | undefined): void {
    if (before === undefined) this.#entries.delete(key);
    else this.#entries.set(key, before);
  }
}

function isOver({ untilMs }: Entry, now: number): boolean {
  return untilMs !== null && untilMs <= now;
}

const nothing = (): void => {};
