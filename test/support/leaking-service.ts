import { random as step } from '../../src/core/backoff.js';
import type { Collected } from '../../src/costs/leaks.js';

/** A service of which everything is known: which route leaks, and how much. Sizes in bytes. */
export interface Leaking {
  readonly seed: number;
  /** What stays after each request, by the number of the route. */
  readonly leaking?: Readonly<Record<number, number>>;
  readonly routes?: number;
  readonly workers?: number;
  readonly seconds?: number;
  /** Requests a second of a worker. */
  readonly rate?: number;
  /** What is in flight at a collection: the standard deviation. */
  readonly noise?: number;
  /** What stays a second, whatever is asked. */
  readonly drift?: number;
  /** A cache that each request fills a little, until it is full. */
  readonly cache?: number;
  /** What a request leaves to the next full collection. */
  readonly garbage?: number;
  /** At which a worker dies, and another begins. */
  readonly limit?: number;
  /** Looks come every so many seconds, whatever is collected: memory outside of the heap. */
  readonly every?: number;
}

const mebibyte = 2 ** 20;

/** Services in which one route leaks, by what is told of them. */
export const leakingServices: Readonly<Record<string, Omit<Leaking, 'seed'>>> = {
  '0.2 MiB a request': { leaking: { 4: 0.2 * mebibyte } },
  '0.2 MiB a request of a rare route': { leaking: { 15: 0.2 * mebibyte } },
  '5 MiB a request, so that workers die of it': { leaking: { 10: 5 * mebibyte } },
  '5 MiB a request of the commonest route': { leaking: { 0: 5 * mebibyte } },
  'with a lot in flight': { leaking: { 2: mebibyte }, noise: 10 * mebibyte },
  'while something else grows with time': { leaking: { 4: 0.5 * mebibyte }, drift: 0.2 * mebibyte },
  'of a service with one worker': { leaking: { 4: 0.5 * mebibyte }, workers: 1 },
  'of a service with few requests': { leaking: { 4: mebibyte }, rate: 2 },
  'within two minutes': { leaking: { 4: 0.5 * mebibyte }, seconds: 120 },
  'outside of the heap': { leaking: { 4: 0.5 * mebibyte }, every: 20, noise: 3 * mebibyte },
};

/** ... and in which none does. */
export const tightServices: Readonly<Record<string, Omit<Leaking, 'seed'>>> = {
  'where nothing grows': {},
  'where a lot is in flight': { noise: 20 * mebibyte },
  'where much garbage is made': { garbage: 300_000 },
  'where a cache is being filled': { cache: 60 * mebibyte },
  'where a large cache is being filled': { cache: 200 * mebibyte, seconds: 300 },
  'where memory grows with time, whatever is asked': { drift: 0.2 * mebibyte },
  'where memory outside of the heap grows with time': {
    drift: 0.2 * mebibyte,
    every: 20,
    noise: 3 * mebibyte,
  },
};

/** The same numbers for the same seed. */
export function randomBy(seed: number): () => number {
  let state = seed;
  return () => {
    const [value, next] = step(state);
    state = next;
    return value;
  };
}

/** What its workers tell of their collections: V8 collects when the heap has grown by a half, but at least by 8 MiB. */
export function simulateService({
  seed,
  leaking = {},
  routes = 20,
  workers = 4,
  seconds = 600,
  rate = 20,
  noise = mebibyte,
  drift = 0,
  cache = 0,
  garbage = 20_000,
  limit = 480 * mebibyte,
  every,
}: Leaking): readonly Collected[] {
  const random = randomBy(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const shares = Array.from({ length: routes }, (_, at) => 1 / (at + 2));
  const sum = shares.reduce((all, share) => all + share, 0);
  const told: Collected[] = [];
  let key = 0;
  for (let slot = 0; slot < workers; slot += 1) {
    let life = born(routes, ++key);
    for (let second = 1; second <= seconds; second += 1) {
      for (const [route, share] of shares.entries()) {
        const count = poisson((share / sum) * rate, random);
        life.counts[route] = (life.counts[route] ?? 0) + count;
        const more = (cache - life.filled) * (1 - Math.exp(-count / 2_000));
        life.filled += more;
        life.kept += more + count * (leaking[route] ?? 0);
        life.waste += count * garbage;
      }
      life.kept += drift;
      const isDue = every === undefined ? life.kept + life.waste >= life.collectAt : second % every === 0;
      if (!isDue) continue;
      life.waste = 0;
      life.collectAt = life.kept + Math.max(8 * mebibyte, life.kept / 2);
      told.push({
        worker: life.key,
        atMs: second * 1_000,
        bytes: life.kept + Math.abs(normal()) * noise,
        counts: Object.fromEntries(life.counts.map((count, route) => [`GET /route${route}`, count])),
      });
      if (life.kept > limit) life = born(routes, ++key);
    }
  }
  return told.sort((one, other) => one.atMs - other.atMs);
}

function born(routes: number, key: number) {
  const kept = 20 * mebibyte;
  return {
    key,
    kept,
    waste: 0,
    filled: 0,
    collectAt: kept + 8 * mebibyte,
    counts: new Array<number>(routes).fill(0),
  };
}

/** Knuth's way, which is for small means: the sum of several for a large one. */
export function poisson(mean: number, random: () => number): number {
  if (mean > 100) return poisson(100, random) + poisson(mean - 100, random);
  const least = Math.exp(-mean);
  let product = random();
  let count = 0;
  while (product > least) {
    product *= random();
    count += 1;
  }
  return count;
}
