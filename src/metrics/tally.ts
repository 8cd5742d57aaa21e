import type { IncomingMessage } from 'node:http';
import {
  countedMethods,
  type Distribution,
  durationLimits,
  otherRoute,
  type RouteCounts,
  statusClasses,
} from '../protocol/metrics.js';
import { routeOf } from '../protocol/requests.js';
import { baseOf, classOfPattern, patternOf, type Routed } from './router-pattern.js';

/** Classes of routes that a worker counts apart; the requests of all others are `other`. */
export const mostRoutes = 64;
const slash = 0x2f;
/** Paths that are their own route, as `/orders` is: looking one up takes a third of the time that routeOf() takes. */
const mostPaths = 1_024;
/** A longer one is not remembered, since its string may be part of a much longer one. */
const longestRemembered = 256;
/** A longer one is not looked at: it would take microseconds. */
const longestClassified = 2_048;

/**
 * Counts answers by the class of their route, by method and by class of status, and how long they took. It is called for
 * each answer, so it allocates nothing on its usual way.
 *
 * Where the app's router tells which of its routes it was, that is the class: `/blog/:id` instead of a class for each post.
 *
 * A route gets a class of its own with its first answer that is not a 4xx: who tries paths at random fills no table.
 */
export class RequestTally {
  readonly #other = new RouteTally(otherRoute);
  readonly #byRoute = new Map<string, RouteTally>();
  readonly #byPath = new Map<string, RouteTally>();
  /** By where the router is mounted, and by the pattern; null: the path says more. */
  readonly #byPattern = new Map<string, Map<string, RouteTally | null>>();

  /**
   * A request of node:http was answered.
   *
   * @param took ms; counts for `weight` answers, for none if that is 0: see RequestClock
   */
  answered(
    response: { readonly req: IncomingMessage; readonly statusCode: number },
    took: number,
    weight: number,
  ): void {
    const request = response.req as Routed & { originalUrl?: string };
    const { statusCode } = response;
    // Express routers cut their own prefix off `url`.
    const tally = this.#routed(request) ?? this.#find(request.originalUrl ?? request.url ?? '', statusCode);
    tally.count(request.method ?? '', statusCode);
    if (weight > 0) tally.time(took / 1_000, weight);
  }

  /** A request was answered that node:http does not know. @param took ms */
  counted(request: { readonly method: string; readonly path: string }, status: number, took: number): void {
    const tally = this.#find(request.path, status);
    tally.count(request.method, status);
    tally.time(took / 1_000, 1);
  }

  counts(): readonly RouteCounts[] {
    return [...this.#byRoute.values(), this.#other]
      .filter((tally) => tally.isUsed())
      .map((tally) => tally.counts());
  }

  #routed(request: Routed): RouteTally | null {
    const pattern = patternOf(request);
    if (pattern === undefined) return null;
    const base = baseOf(request);
    const known = this.#byPattern.get(base)?.get(pattern);
    return known === undefined ? this.#learn(base, pattern) : known;
  }

  #learn(base: string, pattern: string): RouteTally | null {
    const short = base.length + pattern.length <= longestRemembered;
    const route = short ? classOfPattern(base, pattern) : null;
    const tally = route === null ? null : (this.#byRoute.get(route) ?? this.#add(route));
    // Where routers are mounted at a parameter, there are as many as clients send.
    if (this.#byPattern.size >= mostPaths) this.#byPattern.clear();
    if (!short) return tally;
    const patterns = this.#byPattern.get(base) ?? new Map<string, RouteTally | null>();
    this.#byPattern.set(base, patterns);
    if (patterns.size < mostPaths) patterns.set(pattern, tally);
    return tally;
  }

  #find(url: string, status: number): RouteTally {
    const end = url.indexOf('?');
    const path = end === -1 ? url : url.slice(0, end);
    return this.#byPath.get(path) ?? this.#classify(path, status);
  }

  #classify(path: string, status: number): RouteTally {
    const isPath = path.charCodeAt(0) === slash && path.length <= longestClassified;
    const route = isPath ? routeOf(path) : otherRoute;
    const known = this.#byRoute.get(route);
    if (known === undefined && isRefused(status)) return this.#other;
    const tally = known ?? this.#add(route);
    if (route === path && path.length <= longestRemembered) {
      if (this.#byPath.size >= mostPaths) this.#byPath.clear();
      this.#byPath.set(path, tally);
    }
    return tally;
  }

  #add(route: string): RouteTally {
    if (route === otherRoute || this.#byRoute.size >= mostRoutes) return this.#other;
    const tally = new RouteTally(route);
    this.#byRoute.set(route, tally);
    return tally;
  }
}

function isRefused(status: number): boolean {
  return status >= 400 && status < 500;
}

/** Counts by the bucket of a value. */
export class Histogram {
  readonly #limits: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(limits: readonly number[]) {
    this.#limits = limits;
    this.#counts = new Array<number>(limits.length + 1).fill(0);
  }

  /** @param seconds counts for `weight` values */
  add(seconds: number, weight = 1): void {
    const limits = this.#limits;
    let bucket = 0;
    while (bucket < limits.length && seconds > (limits[bucket] as number)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] as number) + weight;
    this.#sum += seconds * weight;
  }

  value(): Distribution {
    return { counts: [...this.#counts], sumSeconds: this.#sum };
  }
}

class RouteTally {
  readonly #route: string;
  /** By method and class of status. */
  readonly #answers = new Array<number>(countedMethods.length * statusClasses.length).fill(0);
  readonly #durations = new Histogram(durationLimits);

  constructor(route: string) {
    this.#route = route;
  }

  count(method: string, status: number): void {
    const place = methodIndex(method) * statusClasses.length + statusIndex(status);
    this.#answers[place] = (this.#answers[place] as number) + 1;
  }

  time(seconds: number, weight: number): void {
    this.#durations.add(seconds, weight);
  }

  isUsed(): boolean {
    return this.#answers.some((count) => count > 0);
  }

  counts(): RouteCounts {
    const answers: Record<string, number> = {};
    for (const [index, count] of this.#answers.entries()) {
      const method = countedMethods[Math.floor(index / statusClasses.length)];
      if (count > 0) answers[`${method} ${statusClasses[index % statusClasses.length]}`] = count;
    }
    return { route: this.#route, answers, durations: this.#durations.value() };
  }
}

/** In the order of countedMethods. node:http has one string for each method, which makes the comparison cheap. */
function methodIndex(method: string): number {
  switch (method) {
    case 'GET':
      return 0;
    case 'HEAD':
      return 1;
    case 'POST':
      return 2;
    case 'PUT':
      return 3;
    case 'PATCH':
      return 4;
    case 'DELETE':
      return 5;
    case 'OPTIONS':
      return 6;
    default:
      return 7;
  }
}

/** An app may set any integer from 100 to 999. */
function statusIndex(status: number): number {
  return status < 200 ? 0 : status < 300 ? 1 : status < 400 ? 2 : status < 500 ? 3 : 4;
}
