import type { Event } from '../core/events.js';
import type { Worker } from '../core/state.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { RouteCost, RouteCosts, Work } from '../protocol/route-cost.js';

type Costs = typeof import('../costs/spending.js');

export interface CostWatch {
  worked(key: WorkerKey, work: Work): void;
  /** What is known by now; null: nothing. */
  costs(): RouteCosts | null;
}

export interface CostWatchSeam {
  readonly workers: () => readonly Pick<Worker, 'key' | 'generation'>[];
  readonly post: (event: Extract<Event, { type: 'costs' }>) => void;
  /** ms, monotonic. */
  readonly now: () => number;
  readonly load?: () => Promise<Costs>;
}

/** Of all workers together, the newest. */
const mostSpans = 480;
/** Between two analyses, which take the master some milliseconds each, ms. */
const between = 30_000;

/**
 * Keeps what the workers tell of their work, and has it analysed now and then. Kinds of requests that stand out in two
 * analyses in a row are told. Another generation is other code: it is looked at by itself.
 */
export function createCostWatch({
  workers,
  post,
  now,
  load = () => import('../costs/spending.js'),
}: CostWatchSeam): CostWatch {
  let spans: { readonly worker: WorkerKey; readonly work: Work }[] = [];
  let generation = 0;
  let analysedAt = now();
  let known: RouteCosts | null = null;
  let before: readonly RouteCost[] = [];
  let told = '';

  const tell = (heavy: readonly RouteCost[]): void => {
    const words = heavy.map(({ kind, heavy, blocks }) => `${kind} ${heavy} ${blocks}`).join('\n');
    if (words === told) return;
    told = words;
    post({ type: 'costs', heavy });
  };
  const analyse = async (): Promise<void> => {
    const { spending } = await load();
    known = spending(spans.map(({ worker, work }) => ({ worker, ...work })));
    const found = (known?.routes ?? []).filter(({ heavy }) => heavy !== null);
    tell(found.filter(({ kind, heavy }) => before.some((one) => one.kind === kind && one.heavy === heavy)));
    before = found;
  };

  return {
    worked: (worker, work) => {
      const of = workers().find(({ key }) => key === worker)?.generation;
      if (of === undefined || of < generation) return;
      if (of > generation) {
        generation = of;
        spans = [];
        before = [];
        known = null;
        tell([]);
      }
      spans.push({ worker, work });
      if (spans.length > mostSpans) spans.shift();
      if (now() - analysedAt < between) return;
      analysedAt = now();
      void analyse().catch(() => {});
    },
    costs: () => known,
  };
}
