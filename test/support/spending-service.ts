import type { Worked } from '../../src/costs/spending.js';
import { poisson, randomBy } from './leaking-service.js';

/** A service of which everything is known: what each route costs. Times in ms. */
export interface Spending {
  readonly seed: number;
  /** CPU of one request, by the number of the route; `usual` for all others. */
  readonly cpu?: Readonly<Record<number, number>>;
  /** What one request takes of the event loop where that is not its CPU: a synchronous wait, or work in other threads. */
  readonly loop?: Readonly<Record<number, number>>;
  /** Routes that take their time in pieces of so much. */
  readonly pieces?: Readonly<Record<number, number>>;
  /** How much rarer a route is than it would be. */
  readonly rarity?: Readonly<Record<number, number>>;
  readonly usual?: number;
  readonly routes?: number;
  readonly workers?: number;
  readonly seconds?: number;
  /** Requests a second of a worker. */
  readonly rate?: number;
  /** Coefficient of variation of one request's time. */
  readonly scatter?: number;
  /** ... and of what a span takes as a whole: other processes, collections. */
  readonly noise?: number;
  /** CPU a second, whatever is asked. */
  readonly base?: number;
  /** Requests wait all the time: the next one begins where one ends. */
  readonly saturated?: boolean;
}

/** Services in which one route costs most, by what is told of them. */
export const costlyServices: Readonly<
  Record<string, { readonly route: number; readonly service: Omit<Spending, 'seed'> }>
> = {
  'of 180 ms': { route: 7, service: { cpu: { 7: 180 } } },
  'of 180 ms, and rare': { route: 15, service: { cpu: { 15: 180 }, rarity: { 15: 4 } } },
  'of 20 ms, and the commonest': { route: 0, service: { cpu: { 0: 20 } } },
  'of a service with one worker': { route: 7, service: { cpu: { 7: 180 }, workers: 1 } },
  'of a service with few requests': { route: 7, service: { cpu: { 7: 180 }, rate: 4 } },
  'while requests wait all the time': { route: 7, service: { cpu: { 7: 180 }, saturated: true } },
  'with much noise': { route: 7, service: { cpu: { 7: 180 }, noise: 0.3, scatter: 2 } },
  'that waits in the event loop without CPU': { route: 5, service: { loop: { 5: 100 } } },
};

/** ... and in which none does. */
export const evenServices: Readonly<Record<string, Omit<Spending, 'seed'>>> = {
  'where all are alike': {},
  'where all are alike, with much noise': { noise: 0.3, scatter: 2 },
  'where few requests come': { rate: 4 },
  'after two minutes': { seconds: 120 },
  'of one worker': { workers: 1 },
  'where requests wait all the time': { saturated: true },
  'where requests wait all the time, and what costs is no request': { base: 600, saturated: true },
  'where many requests come': { rate: 400, usual: 1 },
  'where what costs is no request': { base: 600 },
  'where there is one route only': { routes: 1, usual: 50 },
};

const every = 5;

/** What its workers tell. */
export function simulateSpending({
  seed,
  cpu = {},
  loop = {},
  pieces = {},
  rarity = {},
  usual = 2,
  routes = 20,
  workers = 4,
  seconds = 600,
  rate = 40,
  scatter = 0.7,
  noise = 0.1,
  base = 10,
  saturated = false,
}: Spending): readonly Worked[] {
  const random = randomBy(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const shares = Array.from({ length: routes }, (_, at) => 1 / (at + 2) / (rarity[at] ?? 1));
  const sum = shares.reduce((all, share) => all + share, 0);
  const crowded = (room: number): readonly number[] => {
    const drawn = new Array<number>(routes).fill(0);
    for (let left = room; left > 0; ) {
      let at = random() * sum;
      const route = shares.findIndex((share) => {
        at -= share;
        return at < 0;
      });
      if (route === -1) continue;
      drawn[route] = (drawn[route] ?? 0) + 1;
      left -= loop[route] ?? cpu[route] ?? usual;
    }
    return drawn;
  };
  // One request's time is log-normal, so that its mean is what was asked for however much it scatters.
  const sigma = Math.sqrt(Math.log(1 + scatter * scatter));
  const takenBy = (count: number): number => {
    if (count > 30) return count * Math.max(0.1, 1 + (scatter / Math.sqrt(count)) * normal());
    let sum = 0;
    for (let each = 0; each < count; each += 1) sum += Math.exp(sigma * normal() - (sigma * sigma) / 2);
    return sum;
  };
  const told: Worked[] = [];
  for (let worker = 1; worker <= workers; worker += 1) {
    const counts = new Array<number>(routes).fill(0);
    let total = { cpuMs: 300, loopMs: 300 };
    let drift = 0;
    for (let second = every; second <= seconds; second += every) {
      // All routes come and go with the time of the day, and the machine is slower at times.
      const load = 1 + 0.5 * Math.sin(second / 120);
      drift = 0.8 * drift + 0.6 * normal();
      let spent = { cpuMs: base * every, loopMs: base * every };
      let longestMs = 1 + Math.abs(normal()) * 3;
      const crowd = saturated ? crowded(every * 1_000 - spent.loopMs) : null;
      for (const [route, share] of shares.entries()) {
        const count = crowd?.[route] ?? poisson((share / sum) * rate * load * every, random);
        counts[route] = (counts[route] ?? 0) + count;
        const each = cpu[route] ?? usual;
        const inLoop = loop[route] ?? each;
        const scale = takenBy(count);
        spent = { cpuMs: spent.cpuMs + scale * each, loopMs: spent.loopMs + scale * inLoop };
        if (count > 0) longestMs = Math.max(longestMs, pieces[route] ?? inLoop);
      }
      const slower = Math.max(0.2, 1 + noise * drift);
      const stray = random() < 0.01 ? 400 : 0;
      // The time is used up, whatever the requests took.
      if (saturated) spent = { cpuMs: (every * 1_000) / slower, loopMs: (every * 1_000) / slower };
      total = {
        cpuMs: total.cpuMs + spent.cpuMs * slower + stray,
        loopMs: total.loopMs + spent.loopMs * slower + stray,
      };
      told.push({
        worker,
        atMs: second * 1_000,
        ...total,
        longestMs,
        outsideBytes: 0,
        counts: Object.fromEntries(counts.map((count, route) => [`GET /route${route}`, count])),
      });
    }
  }
  return told.sort((one, other) => one.atMs - other.atMs);
}
