import type { Event } from '../core/events.js';
import type { Worker } from '../core/state.js';
import type { Collection, Leak } from '../protocol/leak.js';
import type { WorkerKey } from '../protocol/messages.js';

type Costs = typeof import('../costs/leaks.js');

export interface LeakWatch {
  /** A worker's heap was collected. */
  collected(key: WorkerKey, collection: Collection): void;
}

export interface LeakWatchSeam {
  readonly workers: () => readonly Pick<Worker, 'key' | 'generation'>[];
  readonly post: (event: Extract<Event, { type: 'leaks' }>) => void;
  /** The analysis, which most services never need. */
  readonly load?: () => Promise<Costs>;
}

/** Of all workers together, the newest. */
const mostLooks = 200;
/** The heaps have to have grown by so much, bytes: a service that does not leak never gets there. */
const worthALook = 16 * 2 ** 20;

/**
 * Keeps what the workers tell after collections, those of workers that have died included, and has it analysed while heaps
 * grow. What two analyses in a row have found is told. Another generation is other code: it is looked at by itself.
 */
export function createLeakWatch({
  workers,
  post,
  load = () => import('../costs/leaks.js'),
}: LeakWatchSeam): LeakWatch {
  let looks: { readonly worker: WorkerKey; readonly collection: Collection }[] = [];
  let generation = 0;
  let before: readonly Leak[] = [];
  let told: readonly Leak[] = [];
  let analysing = false;
  const tell = (leaks: readonly Leak[]): void => post({ type: 'leaks', leaks });

  const analyse = async (): Promise<void> => {
    const { leaks } = await load();
    const found = leaks(looks.map(({ worker, collection }) => ({ worker, ...collection })));
    const sure = found.filter(({ kind }) => before.some((earlier) => earlier.kind === kind));
    before = found;
    if (sure.length === 0 && told.length === 0) return;
    told = sure;
    tell(sure);
  };

  return {
    collected: (worker, collection) => {
      const of = workers().find(({ key }) => key === worker)?.generation;
      if (of === undefined || of < generation) return;
      if (of > generation) {
        generation = of;
        looks = [];
        before = [];
        if (told.length > 0) tell([]);
        told = [];
      }
      looks = [...looks, { worker, collection }].slice(-mostLooks);
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

function growth(looks: readonly { readonly worker: WorkerKey; readonly collection: Collection }[]): number {
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
