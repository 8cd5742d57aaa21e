import type { Redis } from 'ioredis';
import { type Engine, EngineError, type Json } from '../engine.js';
import type { Connection } from './connection.js';

/** Values by key with versions, and counters. The scripts are atomic: Redis runs one at a time. */
export type RedisState = Pick<Engine, 'get' | 'set' | 'delete' | 'increment'>;

/**
 * A value is a hash of its JSON (`v`) and its version (`n`). Versions come from one counter of the fleet, so that a key
 * that was deleted and written anew never has a version that it had before.
 *
 * KEYS: the value, the counter. ARGV: the JSON, ttl in ms or '', the version that is wanted or ''.
 */
const setScript = `
local now = tonumber(redis.call('HGET', KEYS[1], 'n') or '0')
if ARGV[3] ~= '' and now ~= tonumber(ARGV[3]) then return {0, now} end
local next = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'n', next)
if ARGV[2] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) else redis.call('PERSIST', KEYS[1]) end
return {1, next}`;

/** KEYS: the value, the counter of versions. ARGV: what is added, ttl in ms of a new value or ''. */
const incrementScript = `
local text = redis.call('HGET', KEYS[1], 'v')
local before = 0
if text then
  before = tonumber(text)
  if before == nil then return {0, text} end
end
local after = string.format('%.17g', before + tonumber(ARGV[1]))
redis.call('HSET', KEYS[1], 'v', after, 'n', redis.call('INCR', KEYS[2]))
if not text and ARGV[2] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {1, after}`;

const getScript = `
local found = redis.call('HMGET', KEYS[1], 'v', 'n')
return {found[1], found[2], redis.call('PTTL', KEYS[1])}`;

export function redisState(connection: Connection, prefix: string): RedisState {
  const keyOf = (key: string): string => `${prefix}state:${key}`;
  const versions = `${prefix}versions`;
  const run = (method: string, key: string, ask: (redis: Redis) => Promise<unknown>): Promise<unknown> =>
    connection.within(named(method, key), ask);
  return {
    get: async (key) => {
      const [text, version, ttlMs] = (await run('get', key, (redis) =>
        redis.eval(getScript, 1, keyOf(key)),
      )) as [string | null, string, number];
      if (text === null) return undefined;
      return { value: JSON.parse(text) as Json, version: Number(version), ttlMs: ttlMs < 0 ? null : ttlMs };
    },
    set: async (key, value, { ttlMs, ifVersion } = {}) => {
      const [done, version] = (await run('set', key, (redis) =>
        redis.eval(setScript, 2, keyOf(key), versions, JSON.stringify(value), ttlMs ?? '', ifVersion ?? ''),
      )) as [number, number];
      if (done === 1) return { version };
      const is = version === 0 ? 'there is no value' : `the value has version ${version}`;
      throw new EngineError(
        'version',
        `${named('set', key)}: ${is}, not version ${ifVersion}; read it again`,
      );
    },
    delete: async (key) => (await run('delete', key, (redis) => redis.del(keyOf(key)))) === 1,
    increment: async (key, by, { ttlMs } = {}) => {
      const [done, text] = (await run('increment', key, (redis) =>
        redis.eval(incrementScript, 2, keyOf(key), versions, by, ttlMs ?? ''),
      )) as [number, string];
      if (done === 1) return Number(text);
      throw new EngineError('type', `${named('increment', key)}: the value is ${text}, which is no number`);
    },
  };
}

function named(method: string, key: string): string {
  return `state.${method}(${JSON.stringify(key)})`;
}
