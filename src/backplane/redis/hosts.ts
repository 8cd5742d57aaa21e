import { randomUUID } from 'node:crypto';
import { type FleetHost, type HostSummary, hostIsAwayAfter } from '../../protocol/fleet.js';
import type { Connection } from './connection.js';

/** The hosts of the fleet: each writes about itself, and reads what the others wrote. */
export interface Hosts {
  /** Does nothing while Redis is away: the next one comes soon. */
  write(summary: HostSummary): Promise<void>;
  /** By name. */
  list(): Promise<readonly FleetHost[]>;
  /** This host leaves. */
  leave(): Promise<void>;
}

export interface HostsOptions {
  readonly prefix: string;
  readonly host: string;
  readonly warn: (message: string) => void;
}

/** A host that was not heard for a day has left, ms. */
const forgottenAfter = 24 * 3_600_000;

/** By Redis' clock, since those of the hosts differ. KEYS: when each was heard, what it said. ARGV: host, summary, instance. */
const writeScript = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local before = redis.call('HGET', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3] .. ' ' .. ARGV[2])
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ${forgottenAfter})
for _, host in ipairs(gone) do
  redis.call('ZREM', KEYS[1], host)
  redis.call('HDEL', KEYS[2], host)
end
return before and string.match(before, '^%S+') or ''`;

const listScript = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
return {now, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'), redis.call('HGETALL', KEYS[2])}`;

export function redisHosts(connection: Connection, { prefix, host, warn }: HostsOptions): Hosts {
  const keys = [`${prefix}hosts`, `${prefix}summaries`] as const;
  const instance = randomUUID();
  /** Who wrote under this name before: this host, before it was restarted. */
  let predecessor: string | null = null;
  let warned = false;
  return {
    write: async (summary) => {
      if (!connection.isConnected()) return;
      const before = await connection.within('hosts', (redis) =>
        redis.eval(writeScript, 2, ...keys, host, JSON.stringify(summary), instance),
      );
      predecessor ??= String(before);
      if (before === instance || before === '' || before === predecessor || warned) return;
      warned = true;
      warn(
        `another host of the fleet calls itself ${host}, too: set fleet.host to a name of its own on each`,
      );
    },
    list: async () => {
      const [now, heard, said] = (await connection.within('hosts', (redis) =>
        redis.eval(listScript, 2, ...keys),
      )) as [number, string[], string[]];
      const summaries = new Map(pairs(said));
      return pairs(heard)
        .flatMap(([name, at]) => {
          const text = summaries.get(name);
          if (text === undefined) return [];
          const heardAgoMs = Math.max(now - Number(at), 0);
          const summary = JSON.parse(text.slice(text.indexOf(' ') + 1)) as HostSummary;
          const present = heardAgoMs < hostIsAwayAfter;
          return [{ host: name, self: name === host, present, heardAgoMs, ...summary }];
        })
        .sort((a, b) => (a.host < b.host ? -1 : 1));
    },
    leave: async () => {
      if (!connection.isConnected()) return;
      const [hosts, summaries] = keys;
      await connection.within('hosts', (redis) =>
        Promise.all([redis.zrem(hosts, host), redis.hdel(summaries, host)]),
      );
    },
  };
}

function pairs(flat: readonly string[]): readonly (readonly [string, string])[] {
  return flat.flatMap((key, index) => (index % 2 === 0 ? [[key, flat[index + 1] ?? ''] as const] : []));
}
