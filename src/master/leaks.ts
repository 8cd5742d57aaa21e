import type { Event } from '../core/events.js';
import type { Worker } from '../core/state.js';
import type { Collection, Leak } from '../protocol/leak.js';
import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { Work } from '../protocol/route-cost.js';

type Costs = typeof import('../costs/leaks.js');

export interface LeakWatch {
  /** A worker's heap was collected. */
  collected(key: WorkerKey, collection: Collection): void;
  /** A worker tells what it has outside of its heap. */
  worked(key: WorkerKey, work: Work): void;
}

export interface LeakWatchSeam {
  readonly workers: () => readonly Pick<Worker, 'key' | 'generation'>[];
  readonly post: (event: Extract<Event, { type: 'leaks' }>) => void;
  /** The analysis, which most services never need. */
  readonly load?: () => Promise<Costs>;
}

/** Of all workers together, the newest. */
const mostLooks = 200;
/** The memory has to have grown by so much, bytes: a service that does not leak never gets there. */
const worthALook = 16 * 2 ** 20;
/** What is outside of the heap waits for no collection: of each worker a look in so much time, ms. */
const between = 20_000;

/**
 * Keeps what the workers tell of their memory, those of workers that have died included, and has it analysed while it
 * grows: the heaps, and what is outside of them. What two analyses in a row have found is told. Another generation is other
 * code: it is looked at by itself.
 */
export function createLeakWatch({
  workers,
  post,
  load = () => import('../costs/leaks.js'),
}: LeakWatchSeam): LeakWatch {
  let generation = 0;
  let told = 0;
  let looked = new Map<WorkerKey, Millis>();
  const tell = (): void => {
    const all = [...heaps.sure(), ...outside.sure().map((leak): Leak => ({ ...leak, isOutside: true }))];
    if (all.length === 0 && told === 0) return;
    told = all.length;
    post({ type: 'leaks', leaks: all });
  };
  const heaps = follow({ load, tell });
  const outside = follow({ load, tell });

  /** False: it is a word of an older generation, or of nobody. */
  const isCurrent = (worker: WorkerKey): boolean => {
    const of = workers().find(({ key }) => key === worker)?.generation;
    if (of === undefined || of < generation) return false;
    if (of > generation) {
      generation = of;
      looked = new Map();
      for (const memory of [heaps, outside]) memory.forget();
      tell();
    }
    return true;
  };

  return {
    collected: (worker, collection) => {
      if (isCurrent(worker)) heaps.look({ worker, collection });
    },
    worked: (worker, { atMs, outsideBytes, counts }) => {
      if (!isCurrent(worker) || atMs - (looked.get(worker) ?? Number.NEGATIVE_INFINITY) < between) return;
      looked.set(worker, atMs);
      outside.look({ worker, collection: { atMs, bytes: outsideBytes, counts } });
    },
  };
}

interface Look {
  readonly worker: WorkerKey;
  readonly collection: Collection;
}

/** One kind of memory. @param tell called after each analysis */
function follow({ load, tell }: { readonly load: () => Promise<Costs>; readonly tell: () => void }) {
  let looks: Look[] = [];
  let before: readonly Leak[] = [];
  let sure: readonly Leak[] = [];
  let analysing = false;

  const analyse = async (): Promise<void> => {
    const { leaks } = await load();
    const found = leaks(looks.map(({ worker, collection }) => ({ worker, ...collection })));
    sure = found.filter(({ kind }) => before.some((earlier) => earlier.kind === kind));
    before = found;
    tell();
  };

  return {
    sure: () => sure,
    forget: (): void => {
      looks = [];
      before = [];
      sure = [];
    },
    look: (look: Look): void => {
      looks = [...looks, look].slice(-mostLooks);
      if (analysing || growth(looks) < worthALook) return;
      analysing = true;
      void analyse()
        .catch(() => {})
        .finally(() => {
          analysing = false;
        });
    },
  };
}

function growth(looks: readonly Look[]): number {
  const first = new Map<WorkerKey, number>();
  const last = new Map<WorkerKey, number>();
  for (const { worker, collection } of looks) {
    if (!first.has(worker)) first.set(worker, collection.bytes);
    last.set(worker, collection.bytes);
  }
  return [...last].reduce(
    (sum, [worker, bytes]) => sum + Math.max(0, bytes - (first.get(worker) ?? bytes)),
    0,
  );
}
