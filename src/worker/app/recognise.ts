import { Server as HttpServer, type RequestListener } from 'node:http';
import { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { inspect } from 'node:util';
import { exitCodes, RomAgentError } from '../../errors.js';

/** Fastify calls listen() itself, because its hooks run only then. */
export interface Fastify {
  readonly server: Server;
  listen(options: object): Promise<unknown>;
}

export type Recognised =
  | {
      readonly kind: 'listener';
      readonly listener: RequestListener;
      readonly onClientError?: (error: Error, socket: Duplex) => void;
    }
  | { readonly kind: 'server'; readonly server: Server }
  | { readonly kind: 'fastify'; readonly app: Fastify }
  /** Nothing that can be served: the app has to listen itself. `error`: what is wrong with its export. */
  | { readonly kind: 'nothing'; readonly error?: RomAgentError };

/**
 * What the app's default export is. A function with fewer than two parameters that is no framework's app is taken
 * for a factory, called without arguments, and its result (or what its promise resolves to) is recognised instead.
 * An export of another type is no error yet: `module.exports = { app }` beside a late `listen()` is common.
 *
 * @throws whatever the factory throws
 */
export async function recognise(exported: unknown): Promise<Recognised> {
  const known = recogniseApp(exported);
  if (known !== null) return known;
  if (typeof exported === 'function') {
    if (exported.length >= 2) return { kind: 'listener', listener: exported as RequestListener };
    return recogniseResult(await exported());
  }
  if (isEmpty(exported)) return { kind: 'nothing' };
  return { kind: 'nothing', error: unusable('default export', exported) };
}

/** Whether we call it for its result: see `recognise`. */
export function isFactory(exported: unknown): boolean {
  return typeof exported === 'function' && exported.length < 2 && recogniseApp(exported) === null;
}

function recogniseResult(result: unknown): Recognised {
  const known = recogniseApp(result);
  if (known !== null) return known;
  if (typeof result === 'function') return { kind: 'listener', listener: result as RequestListener };
  if (isEmpty(result)) return { kind: 'nothing' };
  return { kind: 'nothing', error: unusable("default export's result", result) };
}

function recogniseApp(value: unknown): Recognised | null {
  if (value instanceof Server || value instanceof HttpServer) return { kind: 'server', server: value };
  if (!hasMethods(value)) return null;
  if (isFunction(value.listen) && isFunction(value.inject))
    return { kind: 'fastify', app: value as unknown as Fastify };
  if (isFunction(value.callback) && isFunction(value.listen)) {
    return { kind: 'listener', listener: value.callback() as RequestListener };
  }
  if (isFunction(value) && isFunction(value.handle) && isFunction(value.use)) {
    return { kind: 'listener', listener: value as unknown as RequestListener };
  }
  return null;
}

function unusable(what: string, value: unknown): RomAgentError {
  const got = describe(value);
  return new RomAgentError(
    `app: the ${what} is ${got}; expected a Koa or Express app, a Fastify instance, an http.Server, ` +
      'a (req, res) listener, or a function that returns one of these',
    { exitCode: exitCodes.appFailed },
  );
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (isObject(value)) return `an object with ${keysOf(value)}`;
  return `the ${typeof value} ${inspect(value)}`;
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (isObject(value) && Object.keys(value).length === 0);
}

function keysOf(value: object): string {
  const keys = Object.keys(value);
  return keys.slice(0, 5).join(', ') + (keys.length > 5 ? ', ...' : '');
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function hasMethods(value: unknown): value is Record<string, unknown> {
  return isObject(value) || typeof value === 'function';
}

function isFunction(value: unknown): value is Record<string, unknown> & ((...args: unknown[]) => unknown) {
  return typeof value === 'function';
}
