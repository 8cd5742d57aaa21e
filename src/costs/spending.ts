import type { Estimate, RouteCost, RouteCosts, Work } from '../protocol/route-cost.js';
import { mostRouteCosts } from '../protocol/route-cost.js';
import { type Rate, rates } from './rates.js';

/*
 * What each kind of request costs the workers: CPU and time of the event loop. Every few seconds a worker tells what it has
 * spent, and how many requests of each kind it has answered. Traffic mixes its kinds by chance, so that what was spent in
 * many such spans says what one request of each kind takes.
 */

/** Of which worker it is: a number that names one process for ever. */
export interface Worked extends Work {
  readonly worker: number;
}

/** A worker fills caches and compiles while it is young, ms. */
const youth = 10_000;
/** Fewer spans say nothing, ... */
const fewestSpans = 12;
/** ... nor do fewer than so many for each kind. */
const spansPerKind = 2;
/** More kinds are not told apart, but for the commonest. */
const mostKinds = 64;
/** A kind with fewer answers is not told apart. */
const fewestAnswers = 5;
/** Of a normal distribution: for 95 %, and for what is said of a kind by name. */
const z = 1.96;
const zToName = 3.5;
/** A worker's event loop that is busy for such a share of a span has no time left. */
const saturated = 0.9;
/** ... and where more than half of the spans have time left, those without are told apart by the others. */
const fullUpTo = 0.5;
/** A kind stands out that takes so much of the whole, and so many times what others take. */
const heavyShare = 0.25;
const heavyTimes = 3;
/** The event loop is blocked where it turns no more for so long, ms: others notice that. */
const blocking = 20;
/** A span's longest delay has to be at least such a share of what one request takes of the event loop. */
const blockingShare = 0.5;
/** ... in so many of the spans that say it, of at least so many. */
const blockingSpans = 0.75;
const fewestBlocked = 4;

/** null: nothing can be told yet. */
export function spending(all: readonly Worked[]): RouteCosts | null {
  const every = spansOf(all);
  // A worker without a moment to spare spends all of its time, whatever is asked: that says nothing of what no request takes.
  const free = every.filter(({ tookMs, loopMs }) => loopMs < saturated * tookMs);
  const isFree = free.length >= fewestSpans && kindsIn(free).length >= kindsIn(every).length;
  // Without the spans in which much was spent the dear requests would seem cheaper: a few full ones are kept.
  const spans = isFree && free.length < fullUpTo * every.length ? free : every;
  const kinds = kindsIn(spans);
  if (spans.length < fewestSpans || kinds.length === 0) return null;
  const rows = spans.map(({ tookMs, counts }) => {
    const known = kinds.map((kind) => counts.get(kind) ?? 0);
    const others = sumOf([...counts.values()]) - sumOf(known);
    return [...known, others, isFree ? tookMs / 1_000 : 0];
  });
  // No column may be empty.
  const used = rows[0]?.map((_, column) => rows.some((row) => (row[column] ?? 0) > 0)) ?? [];
  const x = rows.map((row) => row.filter((_, column) => used[column]));
  const requests = kinds.map((_, at) => sumOf(rows.map((row) => row[at] ?? 0)));
  const by = { x, isFree, of: spans.map(({ worker }) => worker), requests };
  const cpu = explained(
    spans.map(({ cpuMs }) => cpuMs),
    by,
  );
  const loop = explained(
    spans.map(({ loopMs }) => loopMs),
    by,
  );
  if (cpu === null || loop === null) return null;
  const costs = kinds.map((kind, at): Cost | null => {
    const [ofCpu, ofLoop] = [cpu.kinds[at], loop.kinds[at]];
    if (ofCpu === undefined || ofLoop === undefined || !ofCpu.isApart || !ofLoop.isApart) return null;
    return { kind, requests: requests[at] ?? 0, cpu: ofCpu, loop: ofLoop };
  });
  const known = costs.filter((cost) => cost !== null);
  const slow = known.filter(({ loop: { estimate, isSure } }) => isSure && estimate.ms >= blocking);
  return {
    overSeconds: Math.round(sumOf(spans.map(({ tookMs }) => tookMs)) / 1_000),
    restShare: cpu.restShare,
    routes: known
      .sort((one, other) => shareOf(other) - shareOf(one))
      .slice(0, mostRouteCosts)
      .map((cost): RouteCost => {
        const heavy = cost.cpu.isHeavy ? 'cpu' : cost.loop.isHeavy ? 'loop' : null;
        const blocks = slow.includes(cost) && isBlocking(cost, { spans, slow });
        const { kind, requests, cpu, loop } = cost;
        return { kind, requests, cpu: cpu.estimate, loop: loop.estimate, blocks, heavy, where: null };
      }),
  };
}

interface Span {
  readonly worker: number;
  readonly tookMs: number;
  readonly cpuMs: number;
  readonly loopMs: number;
  readonly longestMs: number;
  readonly counts: ReadonlyMap<string, number>;
}

interface Cost {
  readonly kind: string;
  readonly requests: number;
  readonly cpu: Part;
  readonly loop: Part;
}

interface Part {
  readonly estimate: Estimate;
  /** It takes some, beyond doubt. */
  readonly isSure: boolean;
  readonly isApart: boolean;
  readonly isHeavy: boolean;
}

function shareOf({ cpu, loop }: Cost): number {
  return Math.max(cpu.estimate.share, loop.estimate.share);
}

/** From each word of a worker to its next one, without those of its youth. */
function spansOf(all: readonly Worked[]): readonly Span[] {
  const last = new Map<number, Worked>();
  const first = new Map<number, number>();
  return all.flatMap((now): readonly Span[] => {
    const before = last.get(now.worker);
    last.set(now.worker, now);
    if (before === undefined) {
      first.set(now.worker, now.atMs);
      return [];
    }
    const tookMs = now.atMs - before.atMs;
    if (tookMs <= 0 || before.atMs - (first.get(now.worker) ?? 0) < youth) return [];
    const counts = new Map<string, number>();
    for (const [kind, count] of Object.entries(now.counts)) {
      const more = count - (before.counts[kind] ?? 0);
      if (more > 0) counts.set(kind, more);
    }
    return [
      {
        ...{ worker: now.worker, tookMs, counts, longestMs: now.longestMs },
        cpuMs: Math.max(0, now.cpuMs - before.cpuMs),
        loopMs: Math.max(0, now.loopMs - before.loopMs),
      },
    ];
  });
}

/** The kinds to tell apart, the commonest first. */
function kindsIn(spans: readonly Span[]): readonly string[] {
  const totals = new Map<string, number>();
  for (const { counts } of spans) {
    for (const [kind, count] of counts) totals.set(kind, (totals.get(kind) ?? 0) + count);
  }
  const most = Math.min(mostKinds, Math.floor(spans.length / spansPerKind) - 2);
  return [...totals]
    .filter(([, count]) => count >= fewestAnswers)
    .sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1))
    .slice(0, Math.max(0, most))
    .map(([kind]) => kind);
}

function explained(
  spent: readonly number[],
  {
    x,
    isFree,
    of,
    requests,
  }: {
    readonly x: readonly (readonly number[])[];
    /** The last column is time. */
    readonly isFree: boolean;
    readonly of: readonly number[];
    readonly requests: readonly number[];
  },
): { readonly kinds: readonly Part[]; readonly restShare: number } | null {
  const found = rates(spent, x, of);
  if (found === null) return null;
  const whole = sumOf(spent);
  const all = sumOf(requests);
  // Student's distribution for few spans, by the first term of its expansion.
  const wide = 1 + (z * z + 1) / (4 * Math.max(1, spent.length - found.length));
  const takenBy = (at: number): number => Math.max(0, found[at]?.slope ?? 0) * (requests[at] ?? 0);
  const taken = sumOf(requests.map((_, at) => takenBy(at)));
  const kinds = requests.map((count, at): Part => {
    const { slope, error, isApart }: Rate = found[at] ?? { slope: 0, error: 0, isApart: false };
    const share = whole > 0 ? Math.min(1, takenBy(at) / whole) : 0;
    const estimate = {
      ms: Math.max(0, slope),
      lowMs: Math.max(0, slope - z * wide * error),
      highMs: Math.max(0, slope + z * wide * error),
      share,
    };
    const others = (taken - takenBy(at)) / Math.max(1, all - count);
    const surely = slope - zToName * wide * error;
    const isHeavy = share >= heavyShare && requests.length > 1 && surely > heavyTimes * others;
    return { estimate, isApart, isHeavy, isSure: surely > 0 };
  });
  const rest = isFree ? Math.max(0, found.at(-1)?.slope ?? 0) * sumOf(x.map((row) => row.at(-1) ?? 0)) : 0;
  return { kinds, restShare: whole > 0 ? Math.min(1, rest / whole) : 0 };
}

/** Whether one request takes its time in one piece: judged by spans without another kind that might have blocked. */
function isBlocking(
  { kind, loop }: Cost,
  { spans, slow }: { readonly spans: readonly Span[]; readonly slow: readonly Cost[] },
): boolean {
  const enough = blockingShare * loop.estimate.ms;
  const rivals = slow.filter((other) => other.kind !== kind && other.loop.estimate.highMs > enough);
  const alone = spans.filter(
    ({ counts }) => counts.has(kind) && !rivals.some((other) => counts.has(other.kind)),
  );
  const blocked = alone.filter(({ longestMs }) => longestMs >= enough);
  return blocked.length >= Math.max(fewestBlocked, blockingSpans * alone.length);
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
