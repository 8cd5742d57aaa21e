import { HandlerGone, type HeldJob, type Json, type Owner } from './engine.js';

/** The processes that handle jobs, over their reconnections. */
export interface Owners {
  /** Its connection is this one from now on. @returns those of `held` that nobody here knows of */
  attach(owner: Owner, held: readonly HeldJob[], settled: (job: HeldJob) => void): readonly HeldJob[];
  /** Its connection broke: it keeps its jobs while it lives, and has time to come back. */
  detach(id: string, settled: (job: HeldJob) => void): void;
  /** The promise settles with what the process says of the job, and rejects where it ended. */
  hold(id: string, job: HeldJob): Promise<Json>;
  /** @returns whether it has it */
  end(id: string, job: HeldJob, error: string | null): boolean;
  settled(id: string, job: HeldJob): void;
  /** What is given up where the process ends. @returns what takes that back */
  onDeath(id: string, act: () => void): () => void;
  close(): void;
}

export interface OwnersSeam {
  readonly isAlive: (pid: number) => boolean;
  readonly after: (ms: number, call: () => void) => () => void;
  readonly now: () => number;
}

interface Known {
  readonly owner: Owner;
  readonly jobs: Map<
    string,
    { readonly resolve: (value: Json) => void; readonly reject: (error: Error) => void }
  >;
  readonly wills: Set<() => void>;
  settled: ((job: HeldJob) => void) | null;
  lostAtMs: number;
}

/** How often it looks whether processes live whose connections broke, ms. */
const lookInterval = 250;
/** One that lives and does not come back for so long does not have its jobs any longer, ms. */
const longestSilence = 600_000;

export function createOwners({ isAlive, after, now }: OwnersSeam): Owners {
  const known = new Map<string, Known>();
  let forget: (() => void) | null = null;
  let isClosed = false;

  const bury = (entry: Known): void => {
    known.delete(entry.owner.id);
    for (const { reject } of entry.jobs.values())
      reject(new HandlerGone('the process that handled it has ended'));
    for (const act of entry.wills) act();
  };
  const look = (): void => {
    forget = null;
    // Connections break after it was closed, too.
    if (isClosed) return;
    const lost = [...known.values()].filter(({ settled }) => settled === null);
    for (const entry of lost) {
      if (!isAlive(entry.owner.pid) || now() - entry.lostAtMs > longestSilence) bury(entry);
    }
    if ([...known.values()].some(({ settled }) => settled === null)) forget ??= after(lookInterval, look);
  };
  return {
    attach: (owner, held, settled) => {
      const entry = known.get(owner.id) ?? { owner, jobs: new Map(), wills: new Set(), settled, lostAtMs: 0 };
      known.set(owner.id, entry);
      entry.settled = settled;
      const keys = new Set(held.map(keyOf));
      for (const [key, { reject }] of entry.jobs) {
        if (keys.has(key)) continue;
        entry.jobs.delete(key);
        reject(new HandlerGone('its handler never got it: the connection broke'));
      }
      return held.filter((job) => !entry.jobs.has(keyOf(job)));
    },
    detach: (id, settled) => {
      const entry = known.get(id);
      // It may be back on another connection already.
      if (entry === undefined || entry.settled !== settled) return;
      entry.settled = null;
      entry.lostAtMs = now();
      if (entry.jobs.size === 0 && entry.wills.size === 0) known.delete(id);
      else look();
    },
    hold: (id, job) =>
      new Promise((resolve, reject) => {
        const entry = known.get(id);
        if (entry === undefined) return reject(new HandlerGone('the process that handled it has ended'));
        entry.jobs.set(keyOf(job), { resolve, reject });
      }),
    end: (id, job, error) => {
      const jobs = known.get(id)?.jobs;
      const promise = jobs?.get(keyOf(job));
      if (promise === undefined) return false;
      jobs?.delete(keyOf(job));
      if (error === null) promise.resolve(null);
      else promise.reject(new Error(error));
      return true;
    },
    settled: (id, job) => known.get(id)?.settled?.(job),
    onDeath: (id, act) => {
      const wills = known.get(id)?.wills;
      wills?.add(act);
      return () => wills?.delete(act);
    },
    close: () => {
      isClosed = true;
      forget?.();
    },
  };
}

function keyOf({ queue, id, attempt }: HeldJob): string {
  return JSON.stringify([queue, id, attempt]);
}
