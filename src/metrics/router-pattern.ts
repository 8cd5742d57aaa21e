import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import { routeOf } from '../protocol/requests.js';

/*
 * Which route of its router a request has matched, as far as the router leaves it on the request of node:http or publishes
 * it. Nothing of the app is changed. Koa, Hono and hapi keep it in objects of their own, to which nothing of a request leads.
 */

/** Where we note what Fastify publishes. */
const noted = Symbol('rom-agent.route');

/** What routers leave on a request. */
export interface Routed extends IncomingMessage {
  /** Express and what is made with it (Nest, Feathers, Sails); restify. */
  readonly route?: unknown;
  /** Express: where the router is mounted, with what the client has sent in place of parameters. */
  readonly baseUrl?: unknown;
  readonly [noted]?: string;
}

/** The pattern of its route, as the app wrote it, such as `/blog/:slug`, without `baseUrl`; undefined: nobody says. */
export function patternOf(request: Routed): string | undefined {
  const { route } = request;
  if (route === undefined) return request[noted];
  if (typeof route !== 'object' || route === null) return undefined;
  const { path } = route as { path?: unknown };
  return typeof path === 'string' ? path : undefined;
}

export function baseOf({ baseUrl }: Routed): string {
  return typeof baseUrl === 'string' ? baseUrl : '';
}

/**
 * The class of a pattern, in the words of routeOf(), so that a request which the router never saw has the same class: each
 * parameter is `:id`. Null where the pattern says less than the path does: it has a wildcard or a regular expression.
 */
export function classOfPattern(base: string, pattern: string): string | null {
  if (/[*()[\]+|\\]/.test(pattern)) return null;
  const whole = base + (pattern.startsWith('/') || pattern === '' ? pattern : `/${pattern}`);
  const route = routeOf(whole);
  return route.length > 1 && route.endsWith('/') ? route.slice(0, -1) : route || '/';
}

/** Fastify 5 publishes each request with its route on a diagnostics channel. */
export function noteFastify(): void {
  subscribe('tracing:fastify.request.handler:start', (message) => {
    const { request, route } = message as Published;
    if (typeof route?.url === 'string' && request?.raw !== undefined) request.raw[noted] = route.url;
  });
}

interface Published {
  readonly request?: { readonly raw?: { [noted]?: string } };
  readonly route?: { readonly url?: unknown };
}
