import { Redis, type RedisOptions } from 'ioredis';
import type { FleetSettings } from '../../protocol/fleet.js';
import { locate } from './address.js';
import { inWords, optionsOf } from './connection.js';

/** What Redis says of itself. Without user and password. */
export interface RedisProbe {
  /** Its URL; null: the settings name none that can be read. */
  readonly shown: string | null;
  /** Why it does not answer; null: it does. */
  readonly error: string | null;
  /** Of INFO: `redis_version`, `maxmemory_policy`, `aof_enabled` and the like. */
  readonly info: Readonly<Record<string, string>>;
  /** By how much its clock is ahead of this host's at least, ms; null: not known. */
  readonly aheadMs: number | null;
}

/** ms */
const patience = 5_000;

/** Asks once, and changes nothing. INFO and TIME are allowed to the ACL user that the documentation has. */
export async function probeRedis(
  settings: Pick<FleetSettings, 'redisUrl' | 'redisUrlFile' | 'tlsCa'>,
): Promise<RedisProbe> {
  let shown: string | null = null;
  let redis: Redis | null = null;
  let why: string | null = null;
  try {
    const { address, ca } = locate(settings);
    shown = address.shown;
    const options: Omit<RedisOptions, 'replyMapping'> = {
      ...optionsOf(address, ca),
      ...{ lazyConnect: true, connectTimeout: patience, commandTimeout: patience, maxRetriesPerRequest: 0 },
      retryStrategy: () => null,
    };
    redis = new Redis(options);
    redis.on('error', (error) => {
      why ??= inWords(error);
    });
    await redis.connect();
    const info = fieldsOf(String(await redis.info()));
    const asked = Date.now();
    const [seconds, micros] = await redis.time();
    const answered = Date.now();
    const theirs = Number(seconds) * 1_000 + Number(micros) / 1_000;
    const aheadMs = theirs > answered ? theirs - answered : Math.min(0, theirs - asked);
    return { shown, error: null, info, aheadMs };
  } catch (error) {
    return { shown, error: why ?? inWords(error), info: {}, aheadMs: null };
  } finally {
    redis?.disconnect();
  }
}

function fieldsOf(info: string): Readonly<Record<string, string>> {
  return Object.fromEntries([...info.matchAll(/^(\w+):(.*?)\r?$/gm)].map(([, name, value]) => [name, value]));
}
