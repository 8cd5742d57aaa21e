import {
  type Engine,
  EngineError,
  type Handle,
  HandlerGone,
  type HeldJob,
  type Job,
  type Json,
  longestBackoffMs,
  messageOf,
  type NewJob,
  usualAttempts,
  usualBackoffMs,
  type Working,
  type WorkOptions,
} from '../engine.js';
import type { Journal } from './journal.js';
import { createLocks } from './locks.js';
import type { Queue, StoredJob } from './queue.js';
import type { JournalRecord } from './records.js';
import type { Store } from './store.js';

export interface EmbeddedSeam {
  readonly store: Store;
  readonly journal: Journal;
  /** Where it is, for messages. */
  readonly place: string;
  /** Unix time, ms. */
  readonly clock: () => number;
  readonly after: (ms: number, call: () => void) => () => void;
  readonly newId: () => string;
  /** Whether there is a process of that number. */
  readonly isAlive: (pid: number) => boolean;
}

/** Longer waits are made of several: what a timer of Node takes ends after 24 days. */
const longestTimer = 3_600_000;
/** How long it waits after a failure before it tries to write again, ms. */
const pause = 1_000;
/** How often it looks whether the handler of a job lives that has not said anything since a restart, ms. */
const lookInterval = 1_000;
/** A handler that lives and says nothing for so long does not have its job any longer, ms. */
const longestSilence = 600_000;
/** How many changes of the state there are between two looks at what is over. */
const sweepEvery = 10_000;

interface Registration {
  readonly concurrency: number;
  readonly handle: Handle;
  readonly options: WorkOptions;
  readonly controllers: Set<AbortController>;
  active: number;
  isClosing: boolean;
  onIdle: () => void;
}

/** The engine of one host. The store has what was saved; here is who handles, who waits, and when something is due. */
export function createEmbedded(seam: EmbeddedSeam): Engine {
  const { store, journal, place, clock, after } = seam;
  const registrations = new Map<string, Registration[]>();
  const subscribers = new Map<string, Set<(message: Json) => void>>();
  let isClosed = false;
  let forgetTimer = (): void => {};
  let timerAt = Number.POSITIVE_INFINITY;
  let changes = 0;
  /** What has to be written and was not, for want of room. */
  let owed: { record: JournalRecord; settled: () => void }[] = [];
  let isPaused = false;
  /** Jobs that were active when the engine before this one ended, and since when their handlers are waited for. */
  const orphans = new Map<StoredJob, { readonly queue: string; readonly sinceMs: number }>();

  const save = async (record: JournalRecord, sync: boolean): Promise<void> => {
    if (isClosed) throw new EngineError('gone', 'the engine was closed');
    try {
      await journal.append(record, { sync, undo: store.apply(record) });
    } catch (cause) {
      throw notSaved(cause, place);
    }
  };
  const resume = (): void => {
    isPaused = false;
    const again = owed;
    owed = [];
    for (const { record, settled } of again) write(record, settled);
    for (const name of registrations.keys()) pump(name);
  };
  const halt = (): void => {
    if (isPaused || isClosed) return;
    isPaused = true;
    after(pause, resume);
  };
  const write = (record: JournalRecord, settled: () => void): void => {
    journal.append(record, { sync: true }).then(settled, () => {
      owed.push({ record, settled });
      halt();
    });
  };
  /** For what has happened and cannot be refused: written when it can be. */
  const owe = (record: JournalRecord, settled: () => void = () => {}): void => {
    store.apply(record);
    write(record, settled);
  };
  const locks = createLocks({ store, clock, after, save, owe });

  const setTimer = (): void => {
    const due = [...store.queues.values()].map((queue) => queue.nextDueMs()).filter((each) => each !== null);
    const next = Math.min(...due, orphans.size > 0 ? clock() + lookInterval : Number.POSITIVE_INFINITY);
    if (next === timerAt || isClosed) return;
    forgetTimer();
    timerAt = next;
    if (next === Number.POSITIVE_INFINITY) return;
    forgetTimer = after(Math.min(Math.max(1, next - clock()), longestTimer), () => {
      timerAt = Number.POSITIVE_INFINITY;
      lookForOrphans();
      for (const queue of store.queues.values()) queue.wake(clock());
      for (const name of store.queues.keys()) pump(name);
      setTimer();
    });
  };

  /** Hands out what waits to who has room, the least busy first. */
  const pump = (name: string): void => {
    const all = registrations.get(name);
    if (all === undefined || isPaused || isClosed) return;
    const queue = store.queue(name);
    queue.wake(clock());
    for (let job = queue.next(); job !== undefined; job = queue.next()) {
      const [registration] = all
        .filter((each) => !each.isClosing && each.active < each.concurrency)
        .sort((one, other) => one.active - other.active);
      if (registration === undefined) return;
      start(queue, job, registration);
    }
  };
  const start = (queue: Queue, job: StoredJob, registration: Registration): void => {
    const { owner = null } = registration.options;
    const record: JournalRecord = { type: 'start', queue: queue.name, id: job.id, owner };
    registration.active++;
    // Written before somebody has it: whoever reads the journal knows that somebody may have it.
    journal.append(record, { sync: false, undo: store.apply(record) }).then(
      () => {
        if (!registration.isClosing) return void handOver(queue.name, job, registration);
        owe({ type: 'back', queue: queue.name, id: job.id });
        leave(registration);
        pump(queue.name);
      },
      () => {
        leave(registration);
        halt();
      },
    );
  };
  const handOver = async (queue: string, job: StoredJob, registration: Registration): Promise<void> => {
    const { handle, options, controllers } = registration;
    const controller = new AbortController();
    controllers.add(controller);
    const attempt = job.made;
    const settled = (): void => options.onSettled?.({ queue, id: job.id, attempt });
    try {
      await handle(jobOf(job, queue), controller.signal);
      if (isClosed) return;
      owe({ type: 'done', queue, id: job.id, atMs: clock() }, settled);
    } catch (error) {
      if (isClosed) return;
      fail(queue, job, error, settled);
    } finally {
      controllers.delete(controller);
      leave(registration);
      pump(queue);
      setTimer();
    }
  };
  const fail = (queue: string, job: StoredJob, error: unknown, settled?: () => void): void => {
    const { id, made, attempts, backoffMs } = job;
    const now = clock();
    const wait = error instanceof HandlerGone ? 0 : Math.min(backoffMs * 2 ** (made - 1), longestBackoffMs);
    const dueMs = made >= attempts ? null : now + wait;
    const record = { type: 'fail', queue, id, atMs: now, dueMs, error: messageOf(error) } as const;
    owe(record, settled);
  };
  const leave = (registration: Registration): void => {
    registration.active--;
    if (registration.isClosing && registration.active === 0) registration.onIdle();
  };

  const giveBack = (job: StoredJob, queue: string): void => {
    orphans.delete(job);
    fail(queue, job, new HandlerGone('the process that handled it has ended'));
  };
  const lookForOrphans = (): void => {
    for (const [job, { queue, sinceMs }] of orphans) {
      const { owner } = job;
      if (owner === null || !seam.isAlive(owner.pid) || clock() - sinceMs > longestSilence)
        giveBack(job, queue);
    }
  };
  for (const queue of store.queues.values()) {
    queue.admitAll(clock());
    for (const job of queue.active()) orphans.set(job, { queue: queue.name, sinceMs: clock() });
  }
  lookForOrphans();
  setTimer();

  /** Of jobs that are being saved: whoever adds one again waits for the same. */
  const saving = new Map<StoredJob | undefined, Promise<void>>();
  const addOnce = async (name: string, job: NewJob) => {
    const queue = store.queue(name);
    const { id = seam.newId(), delayMs = 0, data } = job;
    if (queue.knows(id, clock())) {
      await saving.get(queue.get(id));
      return { id, added: false };
    }
    const now = clock();
    const record: JournalRecord = {
      ...{ type: 'job', queue: name, id, data },
      name: job.name ?? null,
      attempts: job.attempts ?? usualAttempts,
      backoffMs: job.backoffMs ?? usualBackoffMs,
      priority: job.priority ?? 0,
      dueMs: now + delayMs,
      addedAtMs: now,
      made: 0,
    };
    const saved = save(record, true);
    const stored = queue.get(id);
    saving.set(stored, saved);
    try {
      await saved;
    } catch (error) {
      if (error instanceof EngineError && error.code === 'full')
        throw new EngineError(
          'full',
          `the job ${JSON.stringify(id)} of the queue ${JSON.stringify(name)} was not saved: ${error.message}`,
          error.cause,
        );
      throw error;
    } finally {
      saving.delete(stored);
    }
    queue.admit(id, clock());
    pump(name);
    setTimer();
    return { id, added: true };
  };

  const engine: Engine = {
    add: addOnce,
    work: (name, concurrency, handle, options = {}) => {
      const registration: Registration = {
        ...{ concurrency, handle, options },
        ...{ controllers: new Set(), active: 0, isClosing: false, onIdle: () => {} },
      };
      const all = registrations.get(name) ?? [];
      registrations.set(name, [...all, registration]);
      // Not within the call: the caller does not have what it returns yet.
      setImmediate(() => pump(name));
      return workingOf(registration, () => {
        const others = (registrations.get(name) ?? []).filter((each) => each !== registration);
        if (others.length > 0) registrations.set(name, others);
        else registrations.delete(name);
      });
    },
    reclaim: (owner, held, { handle, onSettled }) => {
      for (const [job, { queue }] of [...orphans]) {
        if (job.owner?.id !== owner.id) continue;
        if (!held.some((each) => isSame(each, job, queue))) {
          giveBack(job, queue);
          continue;
        }
        orphans.delete(job);
        const registration: Registration = {
          ...{ concurrency: 0, handle, options: { owner, onSettled } },
          ...{ controllers: new Set(), active: 1, isClosing: false, onIdle: () => {} },
        };
        void handOver(queue, job, registration);
      }
      for (const each of held) {
        const job = store.queues.get(each.queue)?.get(each.id);
        if (job === undefined || job.state !== 'active' || job.made !== each.attempt) onSettled(each);
      }
      for (const name of registrations.keys()) pump(name);
    },
    queues: async () => [...store.queues.keys()],
    counts: async (name) => {
      const queue = store.queues.get(name);
      queue?.wake(clock());
      return queue?.counts() ?? { waiting: 0, delayed: 0, active: 0, completed: 0, failed: 0 };
    },
    failed: async (name, limit) => store.queues.get(name)?.failed(limit) ?? [],
    retry: async (name, id) => {
      if (store.queues.get(name)?.get(id)?.state !== 'failed') {
        throw new EngineError(
          'missing',
          `the queue ${JSON.stringify(name)} has no failed job ${JSON.stringify(id)}`,
        );
      }
      await save({ type: 'retry', queue: name, id }, true);
      pump(name);
      setTimer();
    },

    get: async (key) => store.get(key, clock()),
    set: async (key, value, { ttlMs, ifVersion } = {}) => {
      const now = clock();
      const is = store.get(key, now)?.version ?? 0;
      if (ifVersion !== undefined && ifVersion !== is) throw otherVersion(key, ifVersion, is);
      const version = store.nextVersion();
      sweepAtTimes();
      await save(
        { type: 'set', key, value, version, untilMs: ttlMs === undefined ? null : now + ttlMs },
        true,
      );
      return { version };
    },
    delete: async (key) => {
      if (store.get(key, clock()) === undefined) return false;
      await save({ type: 'delete', key }, true);
      return true;
    },
    increment: async (key, by, { ttlMs } = {}) => {
      const now = clock();
      const entry = store.get(key, now);
      const value = entry?.value ?? 0;
      if (typeof value !== 'number') {
        throw new EngineError(
          'type',
          `the value of ${JSON.stringify(key)} is no number and cannot be incremented`,
        );
      }
      const untilMs = entry === undefined ? (ttlMs === undefined ? null : now + ttlMs) : store.untilMs(key);
      sweepAtTimes();
      await save({ type: 'set', key, value: value + by, version: store.nextVersion(), untilMs }, true);
      return value + by;
    },
    ...locks,

    publish: async (channel, message) => {
      for (const take of [...(subscribers.get(channel) ?? [])]) take(message);
    },
    subscribe: (channel, take) => {
      const all = subscribers.get(channel) ?? new Set();
      subscribers.set(channel, all);
      all.add(take);
      return () => {
        all.delete(take);
        if (all.size === 0 && subscribers.get(channel) === all) subscribers.delete(channel);
      };
    },

    health: () => ({ kind: 'embedded', connected: true }),
    close: async () => {
      if (isClosed) return;
      // Their jobs stay active in the journal: whoever opens it next finds out whether their handlers live.
      for (const all of registrations.values())
        for (const { controllers } of all) for (const each of controllers) each.abort();
      isClosed = true;
      forgetTimer();
      await journal.close();
    },
  };
  const sweepAtTimes = (): void => {
    if (++changes % sweepEvery === 0) store.sweep(clock());
  };
  return engine;
}

function workingOf(registration: Registration, remove: () => void): Working {
  let closing: Promise<void> | null = null;
  return {
    close: () => {
      closing ??= new Promise<void>((resolve) => {
        registration.isClosing = true;
        registration.onIdle = resolve;
        remove();
        if (registration.active === 0) resolve();
      });
      return closing;
    },
  };
}

function jobOf({ id, name, data, made, attempts, addedAtMs }: StoredJob, queue: string): Job {
  return { queue, id, name, data, attempt: made, attempts, addedAtMs };
}

function isSame(held: HeldJob, { id, made }: StoredJob, queue: string): boolean {
  return held.queue === queue && held.id === id && held.attempt === made;
}

function otherVersion(key: string, expected: number, is: number): EngineError {
  const found = is === 0 ? 'there is none' : `it has ${is}`;
  return new EngineError(
    'version',
    `the entry ${JSON.stringify(key)} does not have the version ${expected}: ${found}`,
  );
}

function notSaved(cause: unknown, place: string): EngineError {
  if (cause instanceof EngineError) return cause;
  const { code } = cause as NodeJS.ErrnoException;
  const why =
    code === 'ENOSPC' || code === 'EDQUOT' ? `no space left on the disk (${code})` : messageOf(cause);
  return new EngineError('full', `${why}, in ${place}`, cause);
}
