import type { RequestListener } from 'node:http';
import type { Duplex } from 'node:stream';
import Router from '@koa/router';
import Koa, { type Context } from 'koa';
import type { PublicFleet } from '../protocol/fleet.js';
import type { MetricsSnapshot } from '../protocol/metrics.js';
import type { PublicStats } from '../protocol/stats.js';
import { answerErrors, type OnError } from './answer-errors.js';
import { onClientError } from './client-error.js';
import { HttpError } from './errors.js';
import type { Info } from './info.js';
import { checkPrefix } from './prefix.js';

/** What the app needs from the process that hosts it. */
export interface AppOptions {
  /** May be cached: the same object is taken to have the same values. */
  readonly info: () => Info;
  /** Asks the master. A rejection, or silence past `statsTimeout`, is answered with 503. */
  readonly stats: () => Promise<PublicStats>;
  /** Asks the master for the hosts of the fleet, as `stats` does; null: this host is alone. */
  readonly fleet?: () => Promise<PublicFleet | null>;
  /** Asks the master, as `stats` does; null: there is no route for it. */
  readonly metrics?: (() => Promise<MetricsSnapshot>) | null;
  /** False once this process drains. */
  readonly ready: () => boolean;
  readonly onError: OnError;
  /** Path such as `/_ops` in front of every route; without it `/` lists the routes. */
  readonly prefix?: string | null;
  /** ms, 2000 unless given. */
  readonly statsTimeout?: number;
}

export interface App {
  readonly handle: RequestListener;
  /** Listener for the server's 'clientError'. */
  readonly onClientError: (error: Error, socket: Duplex) => void;
}

/**
 * The built-in app. It never listens.
 * @throws {RangeError} for a prefix that is not a path.
 */
export function createApp(options: AppOptions): App {
  const koa = new Koa();
  const routes = routesOf(options);
  // In Koa's place rather than a try/catch in front of every request: it costs nothing until something fails.
  koa.context.onerror = answerErrors(options.onError);
  // A router tries all of its routes for each request: what is asked for most has one of its own.
  const [busiest, ...others] = routes;
  if (busiest !== undefined) koa.use(routerOf([busiest]).routes());
  koa.use(routerOf(others).routes());
  koa.use((ctx) => answerTheRest(ctx, routes));
  const callback = koa.callback();
  return { handle: (req, res) => void callback(req, res), onClientError };
}

type Handler = (ctx: Context) => void | Promise<void>;
type Routes = ReadonlyMap<string, Handler>;

const ALLOW = 'GET, HEAD, OPTIONS';

/** Methods that some resource may be expected to have: those are answered with 405, all others with 501. */
const KNOWN_METHODS: ReadonlySet<string> = new Set([
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
]);

function routesOf(options: AppOptions): Routes {
  const { info, stats, fleet = noFleet, metrics = null, ready, prefix, statsTimeout = 2_000 } = options;
  const root = prefix == null ? '' : checkPrefix(prefix);
  const infoBody = rememberLast<Info>(json);
  const routes = new Map<string, Handler>([
    [`${root}/api/info`, (ctx) => answer(ctx, infoBody(info()))],
    [
      `${root}/api/cluster/stats`,
      async (ctx) => answer(ctx, json(await withDeadline(scoped(ctx, { stats, fleet }), statsTimeout))),
    ],
    [
      `${root}/api/scheduler/status`,
      async (ctx) => answer(ctx, json({ jobs: (await withDeadline(stats, statsTimeout)).jobs ?? [] })),
    ],
    [`${root}/healthz`, (ctx) => answer(ctx, '{"status":"ok"}\n')],
    [`${root}/readyz`, (ctx) => answerReadiness(ctx, ready())],
  ]);
  if (metrics !== null) {
    routes.set(`${root}/metrics`, async (ctx) =>
      answerMetrics(ctx, await withDeadline(metrics, statsTimeout)),
    );
  }
  if (root === '') routes.set('/', (ctx) => answer(ctx, listing(info(), routes)));
  return routes;
}

const noFleet = async (): Promise<null> => null;

/** `?scope=fleet` asks for all hosts. */
function scoped(
  ctx: Context,
  { stats, fleet }: { stats: () => Promise<PublicStats>; fleet: () => Promise<PublicFleet | null> },
): () => Promise<PublicStats | PublicFleet> {
  const scope = new URLSearchParams(ctx.querystring).get('scope') ?? 'host';
  if (scope === 'host') return stats;
  if (scope !== 'fleet')
    throw new HttpError(400, `scope: ${shown(scope)} is not right: expected "host" or "fleet"`);
  return async () => {
    const found = await fleet();
    if (found === null) throw new HttpError(404, 'this service is on one host: there is no fleet');
    return found;
  };
}

function routerOf(routes: Iterable<readonly [string, Handler]>): Router {
  const router = new Router({ sensitive: true, strict: true });
  for (const [path, handler] of routes) router.get(literal(path), handler);
  return router;
}

/** The path with the characters escaped that path-to-regexp would read as a pattern. */
function literal(path: string): string {
  return path.replace(/[{}()[\]+?!:*\\]/g, '\\$&');
}

function listing({ name, version }: Info, routes: Routes): string {
  return json({ name, version, routes: [...routes.keys()] });
}

function answerReadiness(ctx: Context, ready: boolean): void {
  if (!ready) ctx.status = 503;
  answer(ctx, ready ? '{"status":"ready"}\n' : '{"status":"draining"}\n');
}

/** The renderer is loaded with the first scrape. */
async function answerMetrics(ctx: Context, snapshot: MetricsSnapshot): Promise<void> {
  const { metricsType, renderMetrics } = await import('../metrics/render.js');
  answer(ctx, renderMetrics(snapshot), metricsType);
}

/** Whatever the router has no handler for. */
function answerTheRest(ctx: Context, routes: Routes): void {
  const { method, path } = ctx;
  if (!decodes(path)) throw new HttpError(400, `the path ${shown(path)} has a malformed percent-encoding`);
  if (!KNOWN_METHODS.has(method)) {
    throw new HttpError(501, `the method ${method} is not implemented`, { headers: { Allow: ALLOW } });
  }
  const exists = routes.has(path);
  if (method === 'OPTIONS' && (exists || path === '*')) {
    answerOptions(ctx);
    return;
  }
  if (!exists) throw new HttpError(404, `there is nothing at ${shown(path)}`);
  throw new HttpError(405, `${shown(path)} does not take ${method}`, { headers: { Allow: ALLOW } });
}

function answerOptions(ctx: Context): void {
  ctx.status = 204;
  ctx.res.setHeader('Allow', ALLOW);
  ctx.res.setHeader('Cache-Control', 'no-store');
}

function answer(ctx: Context, body: string, type = 'application/json; charset=utf-8'): void {
  // Past ctx.set and ctx.type, which cost a list and a look-up each for every request.
  ctx.res.setHeader('Content-Type', type);
  ctx.res.setHeader('Cache-Control', 'no-store');
  ctx.body = body;
}

function decodes(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

function shown(path: string): string {
  return path.length > 200 ? `${path.slice(0, 200)}...` : path;
}

function json(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

/** Renders again only where the value is another object than the last time. */
function rememberLast<T extends object>(render: (value: T) => string): (value: T) => string {
  let last: T | undefined;
  let body = '';
  return (value) => {
    if (value !== last) {
      body = render(value);
      last = value;
    }
    return body;
  };
}

/** @throws {HttpError} 503 where the question is not answered within `limit` ms, or refused. */
async function withDeadline<T>(ask: () => Promise<T>, limit: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the master did not answer within ${limit} ms`)), limit);
  });
  try {
    return await Promise.race([ask(), deadline]);
  } catch (cause) {
    throw new HttpError(503, 'the master does not answer', { cause });
  } finally {
    clearTimeout(timer);
  }
}
