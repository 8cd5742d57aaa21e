import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError, type HeldLock } from '../engine.js';
import type { Connection } from './connection.js';

/**
 * The lock of Redis' own documentation for one instance (SET PX of a value that only its holder knows), with a fencing
 * token, which is that value.
 *
 * What it guarantees: while one Redis runs, keeps its data and its clock does not jump back, at most one holder is within
 * its ttl, and each holder has a larger token than those before. What it does not: a holder that was stopped for longer
 * than its ttl believes that it still holds the lock, and a replica that is promoted may not know of a lock. So what the
 * lock guards has to refuse a token that is smaller than one that it has seen.
 */
export interface RedisLocks {
  /** @returns null where it was not free within `waitMs`, or the signal was aborted */
  acquire(options: LockOptions): Promise<HeldLock | null>;
  /** @throws EngineError `lost` */
  extend(name: string, token: number, ttlMs: number): Promise<void>;
  release(name: string, token: number): Promise<void>;
}

export interface LockOptions {
  readonly name: string;
  readonly ttlMs: number;
  readonly waitMs: number;
  /** Who wants it, for those that wait. */
  readonly who?: string;
  /** Hears who holds it, each time that it was not free. */
  readonly onHeld?: (who: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * KEYS: the lock, its fence. ARGV: who, ttl in ms. Redis' clock in the token keeps it growing also where Redis has lost its
 * data. Gives {token, 0, ''} or {0, ms until it runs out, who holds it}.
 */
const acquireScript = `
local held = redis.call('GET', KEYS[1])
if held then return {0, redis.call('PTTL', KEYS[1]), string.match(held, '#(.*)$')} end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local token = math.max(now, tonumber(redis.call('GET', KEYS[2]) or '0') + 1)
local text = string.format('%.0f', token)
redis.call('SET', KEYS[2], text)
redis.call('SET', KEYS[1], text .. '#' .. ARGV[1], 'PX', ARGV[2])
return {token, 0, ''}`;

/** KEYS: the lock. ARGV: the token, ttl in ms. */
const extendScript = `
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^%d+') ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

const releaseScript = `
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^%d+') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`;

/** Who waits asks this often, ms. */
const askedEach = 200;

export function redisLocks(connection: Connection, prefix: string): RedisLocks {
  const keyOf = (name: string): string => `${prefix}lock:${name}`;
  const extend: RedisLocks['extend'] = async (name, token, ttlMs) => {
    const done = await connection.within(what(name), (redis) =>
      redis.eval(extendScript, 1, keyOf(name), token, ttlMs),
    );
    if (done === 1) return;
    throw new EngineError('lost', `${what(name)}: lost, since it was not extended in time`);
  };
  const release: RedisLocks['release'] = async (name, token) => {
    await connection.within(what(name), (redis) => redis.eval(releaseScript, 1, keyOf(name), token));
  };
  return {
    acquire: async ({ name, ttlMs, waitMs, who = '', onHeld, signal }) => {
      const until = performance.now() + waitMs;
      for (;;) {
        if (signal?.aborted === true) return null;
        const [token, leftMs, other] = (await connection.within(what(name), (redis) =>
          redis.eval(acquireScript, 2, keyOf(name), `${prefix}fence:${name}`, who, ttlMs),
        )) as [number, number, string];
        if (token > 0) {
          return { token, extend: () => extend(name, token, ttlMs), release: () => release(name, token) };
        }
        onHeld?.(other);
        const left = until - performance.now();
        if (left <= 0) return null;
        const pause = Math.min(left, askedEach, Math.max(leftMs, 10));
        await sleep(pause, undefined, signal === undefined ? {} : { signal }).catch(() => {});
      }
    },
    extend,
    release,
  };
}

function what(name: string): string {
  return `lock(${JSON.stringify(name)})`;
}
