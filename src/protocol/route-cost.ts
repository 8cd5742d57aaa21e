import type { Millis } from './limits.js';

/** What a worker tells of its work every few seconds while it answers. Totals since its start, unless said otherwise. */
export interface Work {
  /** ms of monotonic() */
  readonly atMs: Millis;
  /** CPU time of all threads of the process. */
  readonly cpuMs: Millis;
  /** How long the event loop was busy: performance.eventLoopUtilization(). */
  readonly loopMs: Millis;
  /** The longest event-loop delay since the worker told the last time. */
  readonly longestMs: Millis;
  /** Resident memory that is neither the heap nor what its objects hold outside of it: native code's. At this moment. */
  readonly outsideBytes: number;
  /** Answers by kind of request: `GET /reports/:id`. */
  readonly counts: Readonly<Record<string, number>>;
}

/** What one request costs, with its 95 % interval. */
export interface Estimate {
  readonly ms: Millis;
  readonly lowMs: Millis;
  readonly highMs: Millis;
  /** Of what all workers spent meanwhile, 0 to 1. */
  readonly share: number;
}

/** What a kind of request costs the workers. */
export interface RouteCost {
  /** `GET /reports/:id` */
  readonly kind: string;
  /** How many of them this is known from. */
  readonly requests: number;
  readonly cpu: Estimate;
  /** Time in which the event loop was busy. */
  readonly loop: Estimate;
  /** One request keeps the event loop busy in one piece for about as long as `loop.ms`. */
  readonly blocks: boolean;
  /** Where it stands out from all other kinds, by what: beyond doubt, and for a large share. */
  readonly heavy: 'cpu' | 'loop' | null;
  /** The function in which it blocked the event loop, where a stall has shown one: `checkout (/srv/app/server.js:12:5)`. */
  readonly where: string | null;
}

/** What the requests cost, as far as it can be told apart. */
export interface RouteCosts {
  /** From what time of all workers together. */
  readonly overSeconds: number;
  /** What no request explains: timers, jobs in the worker. 0 to 1. */
  readonly restShare: number;
  /** Those with the largest shares, the largest first; at most `mostRouteCosts`. */
  readonly routes: readonly RouteCost[];
}

/** So many kinds are told, and no more series are in the metrics. */
export const mostRouteCosts = 20;

/** `GET /report takes 180 ms of CPU per request (170 to 190): 61 % of the workers' CPU; it blocks the event loop`. */
export function costInWords({ kind, cpu, loop, blocks, heavy, where }: RouteCost): string {
  const one = heavy === 'loop' ? loop : cpu;
  const what = heavy === 'loop' ? 'of the event loop' : 'of CPU';
  const whole = heavy === 'loop' ? "of the event loops' busy time" : "of the workers' CPU";
  const at = where === null ? '' : `, in ${where}`;
  const then = blocks ? `; it blocks the event loop${at}` : '';
  const [amount, interval] = [`${inMillis(one.ms)} ms`, `${inMillis(one.lowMs)} to ${inMillis(one.highMs)}`];
  return `${kind} takes ${amount} ${what} per request (${interval}): ${Math.round(one.share * 100)} % ${whole}${then}`;
}

/** Three digits at most, and no digits that say nothing. */
export function inMillis(ms: Millis): string {
  return ms >= 100 ? String(Math.round(ms)) : String(Number(ms.toPrecision(ms >= 10 ? 3 : 2)));
}
