import { Redis, type RedisOptions } from 'ioredis';
import { EngineError } from '../engine.js';
import type { RedisAddress } from './address.js';

export interface ConnectionOptions {
  readonly address: RedisAddress;
  /** PEM of the authorities that may have signed Redis' certificate; null: those of Node. */
  readonly ca: string | null;
  /** Shown by CLIENT LIST. */
  readonly name: string;
}

/** The connections of one process to one Redis, and whether it answers. */
export interface Connection {
  /** Refuses at once while Redis is away: for whoever has something else to do then. */
  readonly main: Redis;
  /** Waits for Redis: for BullMQ's workers. */
  readonly patient: Redis;
  /** Only subscribes. */
  readonly listener: Redis;
  isConnected(): boolean;
  /** Since when Redis is away, ms since 1970; null: it is there. */
  lostSinceMs(): number | null;
  /** Why Redis is away, in words without secrets. */
  reason(): string | null;
  /** @returns what ends the subscription */
  onChange(listener: (connected: boolean) => void): () => void;
  /** @throws EngineError `away` that names Redis when it is away, or when it takes longer */
  within<T>(what: string, ask: (redis: Redis) => Promise<T>, limitMs?: number): Promise<T>;
  close(): Promise<void>;
}

/** Redis is asked this often whether it is there, ms. */
const askedEach = 2_000;
/** It is away when it has not answered for so long, ms: a partition closes no connection. */
const answersWithin = 5_000;
/** More than the 10 s for which BullMQ blocks at most, ms. */
const silentSocket = 15_000;
const longestRetry = 2_000;
/** How long a command may wait for Redis to come back, ms. */
const usualPatience = 5_000;

export function openConnection({ address, ca, name }: ConnectionOptions): Connection {
  const { shown } = address;
  const common: RedisOptions = {
    ...optionsOf(address, ca),
    connectionName: name,
    connectTimeout: answersWithin,
    socketTimeout: silentSocket,
    keepAlive: silentSocket,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), longestRetry),
    // A replica that was promoted, or a Redis that is loading: another connection may be luckier.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  };
  const open = (more: RedisOptions): Redis => {
    const options: Omit<RedisOptions, 'replyMapping'> = Object.assign(more, common);
    return new Redis(options);
  };
  const main = open({ enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: answersWithin });
  const patient = open({ maxRetriesPerRequest: null });
  const listener = open({ maxRetriesPerRequest: null });
  const all = [main, patient, listener];

  const listeners = new Set<(connected: boolean) => void>();
  let lostSince: number | null = Date.now();
  let reason: string | null = 'not connected yet';
  let closed = false;
  const change = (why: string | null): void => {
    if (closed) return;
    if (why !== null) reason = why;
    if ((why === null) === (lostSince === null)) return;
    lostSince = why === null ? null : Date.now();
    if (why === null) reason = null;
    for (const each of [...listeners]) each(why === null);
  };
  for (const client of all) {
    client.on('error', (error) => {
      if (lostSince !== null) reason = inWords(error);
    });
  }
  main.on('ready', () => change(null));
  main.on('close', () => change(reason ?? 'the connection was closed'));

  let asking = false;
  const ask = async (): Promise<void> => {
    if (asking || closed || main.status !== 'ready') return;
    asking = true;
    try {
      await Promise.all(
        [main.ping(), ...(listener.status === 'ready' ? [listener.ping()] : [])].map((each) =>
          limited(each, answersWithin),
        ),
      );
      change(null);
    } catch (error) {
      change(inWords(error));
      // A connection into a partition would be noticed after minutes of retransmissions.
      for (const client of all) if (client.status === 'ready') client.disconnect(true);
    } finally {
      asking = false;
    }
  };
  const timer = setInterval(() => void ask(), askedEach);
  timer.unref();

  const untilConnected = (limitMs: number): Promise<boolean> => {
    if (lostSince === null) return Promise.resolve(true);
    return new Promise((resolve) => {
      const give = (connected: boolean): void => {
        clearTimeout(timeout);
        listeners.delete(heard);
        resolve(connected);
      };
      const heard = (connected: boolean): void => {
        if (connected) give(true);
      };
      const timeout = setTimeout(give, limitMs, false);
      listeners.add(heard);
    });
  };

  return {
    ...{ main, patient, listener },
    isConnected: () => lostSince === null,
    lostSinceMs: () => lostSince,
    reason: () => reason,
    onChange: (each) => {
      listeners.add(each);
      return () => void listeners.delete(each);
    },
    within: async (what, ask, limitMs = usualPatience) => {
      const begun = Date.now();
      if (!(await untilConnected(limitMs))) throw away(what, shown, reason);
      try {
        return await limited(ask(main), Math.max(limitMs - (Date.now() - begun), 1_000));
      } catch (error) {
        if (!isOfConnection(error)) throw error;
        throw away(what, shown, inWords(error), error);
      }
    },
    close: async () => {
      closed = true;
      clearInterval(timer);
      for (const client of all) client.disconnect();
    },
  };
}

/** Where, as whom and how. */
export function optionsOf(
  { place, tls, db, username, password }: RedisAddress,
  ca: string | null,
): RedisOptions {
  return {
    ...place,
    db,
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(tls && 'host' in place
      ? { tls: { servername: servername(place.host), ...(ca === null ? {} : { ca }) } }
      : {}),
  };
}

/** The name that the certificate has to bear; an address has none. */
function servername(host: string): string {
  return /^[\d.]+$|:/.test(host) ? '' : host;
}

function away(what: string, shown: string, reason: string | null, cause?: unknown): EngineError {
  const message = `${what}: Redis at ${shown} does not answer (${reason ?? 'no reason known'}); try again when it does`;
  return new EngineError('away', message, cause);
}

async function limited<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** ReplyError is what Redis itself says, of a command that reached it. */
export function isOfConnection(error: unknown): boolean {
  return !(error instanceof Error) || (error.name !== 'ReplyError' && !(error instanceof EngineError));
}

/** ioredis puts no password into its messages, but the arguments of AUTH into the command of an error. */
export function inWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
