import type { Served } from './heartbeat.js';

/*
 * What a master and the one that is to take its place say to each other: a line of JSON each, over a socket pair that the
 * old one makes. Its end means that the other is gone.
 */

/** In the environment of the next master: TakeOver as JSON. It removes it before anybody else sees it. */
export const takeOverVariable = 'ROM_AGENT_TAKE_OVER';

export interface TakeOver {
  /** Descriptor of the socket pair. */
  readonly channel: number;
  /** The listening sockets of the workers, by the names that keepOpen (master/listen-sockets.ts) has for them. */
  readonly listeners: readonly { readonly name: string; readonly fd: number }[];
  /** The sockets that the service manager had opened. */
  readonly passed: readonly { readonly name: string; readonly fd: number }[];
}

/** From the master that serves. */
export type ToNext =
  /** The canary is well: boot as many workers as serve here. */
  | { readonly type: 'grow'; readonly workers: number }
  /** The service manager knows you by now. `auto`: the number of workers follows the load. */
  | { readonly type: 'take-over'; readonly auto: boolean }
  /** Every listener here is closed. */
  | { readonly type: 'alone' }
  | { readonly type: 'withdraw'; readonly reason: string };

/** From the next master. */
export type FromNext =
  | { readonly type: 'hello'; readonly pid: number; readonly version: string; readonly node: string }
  /** Its first worker listens. */
  | { readonly type: 'ready'; readonly urls: readonly string[] }
  /** What its workers have answered, how many died, and how old the oldest word of one of them is, ms. */
  | { readonly type: 'served'; readonly served: Served; readonly deaths: number; readonly ageMs: number }
  | { readonly type: 'grown' }
  | { readonly type: 'taken' }
  | { readonly type: 'failed'; readonly reason: string }
  /** The service is to stop: the connections here are to drain. */
  | { readonly type: 'stop'; readonly why: string };

/** One line of the answer to an upgrade. */
export type UpgradeLine =
  | { readonly type: 'answer'; readonly message: string }
  /** ms since it began */
  | { readonly type: 'step'; readonly atMs: number; readonly text: string }
  | {
      readonly type: 'verdict';
      readonly verdict: 'done' | 'rolled-back';
      /** Why it was rolled back, or what is wrong although it was done; null: nothing is. */
      readonly reason: string | null;
      /** Of the master that serves from now on. */
      readonly pid: number;
      readonly tookMs: number;
    };

export interface UpgradeOptions {
  readonly by: string;
  /** Absolute path of the Node.js that is to run the next master; its own unless given. */
  readonly node?: string | undefined;
  /** How long the connections of the old workers may go on, ms. */
  readonly patience: number;
}

/** @throws Error with what is wrong, where it is none */
export function parseTakeOver(text: string): TakeOver {
  const value = JSON.parse(text) as Partial<TakeOver> | null;
  const isSocket = (each: unknown): boolean => {
    const { name, fd } = (each ?? {}) as { name?: unknown; fd?: unknown };
    return typeof name === 'string' && Number.isSafeInteger(fd) && Number(fd) > 2;
  };
  const { channel, listeners, passed } = value ?? {};
  if (!Number.isSafeInteger(channel) || !Array.isArray(listeners) || !Array.isArray(passed))
    throw new Error('expected channel, listeners and passed');
  if (![...listeners, ...passed].every(isSocket)) throw new Error('expected sockets with name and fd');
  return value as TakeOver;
}

/** null: a message that this version does not know, or none. */
export function parseFromNext(line: string): FromNext | null {
  const value = parse(line);
  if (value === null) return null;
  const { type } = value;
  const isText = (name: string): boolean => typeof value[name] === 'string';
  const isCount = (name: string): boolean => Number.isSafeInteger(value[name]) && Number(value[name]) >= 0;
  const fits =
    (type === 'hello' && isCount('pid') && isText('version') && isText('node')) ||
    (type === 'ready' && isTexts(value.urls)) ||
    (type === 'served' && isCount('deaths') && isCount('ageMs') && isServed(value.served)) ||
    type === 'grown' ||
    type === 'taken' ||
    (type === 'failed' && isText('reason')) ||
    (type === 'stop' && isText('why'));
  return fits ? (value as unknown as FromNext) : null;
}

/** As parseFromNext, of the old master. */
export function parseToNext(line: string): ToNext | null {
  const value = parse(line);
  if (value === null) return null;
  const { type, workers, auto, reason } = value;
  const fits =
    (type === 'grow' && Number.isSafeInteger(workers) && Number(workers) > 0) ||
    (type === 'take-over' && typeof auto === 'boolean') ||
    type === 'alone' ||
    (type === 'withdraw' && typeof reason === 'string');
  return fits ? (value as unknown as ToNext) : null;
}

function parse(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function isServed(value: unknown): value is Served {
  const { answers, errors, shed, latency } = (value ?? {}) as Partial<Served>;
  const counts = [answers, errors, shed, ...(Array.isArray(latency) ? latency : [null])];
  return counts.every((count) => typeof count === 'number' && Number.isFinite(count));
}
