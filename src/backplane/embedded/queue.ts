import type { FailedJob, Owner, QueueCounts } from '../engine.js';
import { Heap } from './heap.js';
import type { JobRecord, JournalRecord } from './records.js';

/** Completed ids are known for so long, ms, and so many of them: adding one again does nothing. */
export const retentionMs = 24 * 3_600_000;
export const mostCompleted = 100_000;
/** Of the list of failed jobs. The oldest gives way. */
export const mostFailed = 10_000;

/** `unsaved`: nobody gets it yet. */
export type JobState = 'unsaved' | 'waiting' | 'delayed' | 'active' | 'failed';

export interface StoredJob extends Omit<JobRecord, 'type' | 'failure'> {
  state: JobState;
  /** The order in which they were added. */
  readonly seq: number;
  made: number;
  dueMs: number;
  failure: { readonly atMs: number; readonly error: string } | null;
  owner: Owner | null;
}

/** A heap's order must not change below it: the job's own time does with its next failure. */
interface Delayed {
  readonly job: StoredJob;
  readonly dueMs: number;
}

export type QueueRecord = Exclude<
  Extract<JournalRecord, { readonly queue: string }>,
  { readonly type: 'completed' }
>;

/** The jobs of one queue: what is known of each, and who is next. Knows no clock and no handler. */
export class Queue {
  readonly name: string;
  readonly #jobs = new Map<string, StoredJob>();
  readonly #waiting = new Heap<StoredJob>((one, other) =>
    one.priority === other.priority ? one.seq < other.seq : one.priority < other.priority,
  );
  readonly #delayed = new Heap<Delayed>((one, other) =>
    one.dueMs === other.dueMs ? one.job.seq < other.job.seq : one.dueMs < other.dueMs,
  );
  readonly #inState: Record<JobState, number> = { unsaved: 0, waiting: 0, delayed: 0, active: 0, failed: 0 };
  /** Ids that were completed, the oldest first, each with its time. */
  readonly #done = new Map<string, number>();
  #completed = 0;
  #seq = 0;

  constructor(name: string) {
    this.name = name;
  }

  get(id: string): StoredJob | undefined {
    return this.#jobs.get(id);
  }

  /** Whether adding it does nothing. */
  knows(id: string, now: number): boolean {
    const doneAt = this.#done.get(id);
    return this.#jobs.has(id) || (doneAt !== undefined && doneAt > now - retentionMs);
  }

  counts(): QueueCounts {
    const { unsaved, waiting, delayed, active, failed } = this.#inState;
    return { waiting: waiting + unsaved, delayed, active, completed: this.#completed, failed };
  }

  failed(limit: number): FailedJob[] {
    const failed = [...this.#jobs.values()].filter(({ state }) => state === 'failed');
    failed.sort((one, other) => (other.failure?.atMs ?? 0) - (one.failure?.atMs ?? 0));
    return failed.slice(0, limit).map(({ id, name, data, made, failure }) => ({
      ...{ id, name, data },
      attempts: made,
      failedAtMs: failure?.atMs ?? 0,
      error: failure?.error ?? '',
    }));
  }

  active(): StoredJob[] {
    if (this.#inState.active === 0) return [];
    return [...this.#jobs.values()].filter(({ state }) => state === 'active');
  }

  /** When the next delayed job is due; null: none is. */
  nextDueMs(): number | null {
    for (;;) {
      const first = this.#delayed.peek();
      if (first === undefined) return null;
      if (first.job.state === 'delayed' && first.job.dueMs === first.dueMs) return first.dueMs;
      this.#delayed.pop();
    }
  }

  /** Makes jobs wait whose time has come. */
  wake(now: number): void {
    for (let due = this.nextDueMs(); due !== null && due <= now; due = this.nextDueMs()) {
      const first = this.#delayed.pop();
      if (first !== undefined) this.#to(first.job, 'waiting');
    }
  }

  next(): StoredJob | undefined {
    for (;;) {
      const job = this.#waiting.peek();
      if (job === undefined || job.state === 'waiting') return job;
      this.#waiting.pop();
    }
  }

  /** It is saved, and may be handed out. */
  admit(id: string, now: number): void {
    const job = this.#jobs.get(id);
    if (job?.state === 'unsaved') this.#to(job, job.dueMs > now ? 'delayed' : 'waiting');
  }

  /** After the journal was read. */
  admitAll(now: number): void {
    for (const id of this.#jobs.keys()) this.admit(id, now);
  }

  /**
   * What a record says, now or when the journal is read. One that does not fit is ignored: it was written twice.
   *
   * @returns what takes it back, where it was not saved
   */
  apply(record: QueueRecord): () => void {
    if (record.type === 'job') return this.#add(record);
    const job = this.#jobs.get(record.id);
    if (job === undefined) return nothing;
    switch (record.type) {
      case 'start':
        job.made++;
        job.owner = record.owner;
        this.#to(job, 'active');
        return () => {
          job.made--;
          job.owner = null;
          this.#to(job, 'waiting');
        };
      case 'back':
        job.made--;
        job.owner = null;
        this.#to(job, 'waiting');
        return nothing;
      case 'done':
        this.#remove(job);
        this.#completed++;
        this.#done.delete(job.id);
        this.#done.set(job.id, record.atMs);
        this.#forget(record.atMs);
        return nothing;
      case 'fail': {
        job.owner = null;
        job.failure = { atMs: record.atMs, error: record.error };
        if (record.dueMs !== null) job.dueMs = record.dueMs;
        this.#to(job, record.dueMs === null ? 'failed' : 'delayed');
        if (record.dueMs === null) this.#boundFailed();
        return nothing;
      }
      case 'retry': {
        const before = { made: job.made, dueMs: job.dueMs };
        job.made = 0;
        job.dueMs = 0;
        this.#to(job, 'delayed');
        return () => {
          Object.assign(job, before);
          this.#to(job, 'failed');
        };
      }
    }
  }

  restore({ count, ids }: Extract<JournalRecord, { type: 'completed' }>): void {
    this.#completed = count;
    for (const [id, atMs] of ids) this.#done.set(id, atMs);
  }

  /** @param now ids that need not be known any longer are left out */
  *snapshot(now: number): Iterable<JournalRecord> {
    this.#forget(now);
    yield { type: 'completed', queue: this.name, count: this.#completed, ids: [...this.#done] };
    for (const job of this.#jobs.values()) {
      const { state, seq: _, owner, failure, made, ...rest } = job;
      const isActive = state === 'active';
      yield {
        type: 'job',
        ...rest,
        made: isActive ? made - 1 : made,
        ...(state === 'failed' && failure !== null ? { failure } : {}),
      };
      if (isActive) yield { type: 'start', queue: this.name, id: job.id, owner };
    }
  }

  #add({ type: _, failure, ...record }: JobRecord): () => void {
    if (this.#jobs.has(record.id)) return nothing;
    const job: StoredJob = {
      ...record,
      failure: failure ?? null,
      owner: null,
      state: 'unsaved',
      seq: ++this.#seq,
    };
    this.#jobs.set(job.id, job);
    this.#inState.unsaved++;
    if (failure !== undefined) this.#to(job, 'failed');
    return () => this.#remove(job);
  }

  #to(job: StoredJob, state: JobState): void {
    this.#inState[job.state]--;
    this.#inState[state]++;
    job.state = state;
    if (state === 'waiting') this.#waiting.push(job);
    else if (state === 'delayed') this.#delayed.push({ job, dueMs: job.dueMs });
  }

  #remove(job: StoredJob): void {
    this.#jobs.delete(job.id);
    this.#inState[job.state]--;
    // Heaps are cleaned when it comes to their top.
    (job as { state: string }).state = 'gone';
  }

  #forget(now: number): void {
    for (const [id, atMs] of this.#done) {
      if (atMs > now - retentionMs && this.#done.size <= mostCompleted) return;
      this.#done.delete(id);
    }
  }

  #boundFailed(): void {
    if (this.#inState.failed <= mostFailed) return;
    for (const job of this.#jobs.values()) {
      if (job.state === 'failed') return this.#remove(job);
    }
  }
}

const nothing = (): void => {};
