import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { probeRedis } from '../../../src/backplane/redis/probe.js';
import { noRedis, startRedis } from '../../support/redis.js';
import { examined } from './fake-world.js';

const shown = 'redis://r:6379';
const good = { redis_version: '7.0.15', maxmemory_policy: 'noeviction', aof_enabled: '1' };
const names = ['reachable', 'server', 'maxmemory-policy', 'appendonly', 'clock'];

async function verdicts(info: Readonly<Record<string, string>>, aheadMs = 20) {
  const env = { REDIS_URL: 'redis://u:secret@r' };
  const { one } = await examined({
    ...{ env, unitName: null },
    redis: { shown, error: null, info, aheadMs },
  });
  return names.map((name) => one(name).verdict);
}

describe('doctor on the Redis of a fleet', () => {
  test('is content with one that keeps what it is given', async () => {
    assert.deepEqual(await verdicts(good), ['ok', 'ok', 'ok', 'ok', 'ok']);
    const valkey = { ...good, redis_version: '7.2.4', valkey_version: '8.0.1' };
    assert.deepEqual(await verdicts(valkey), ['ok', 'ok', 'ok', 'ok', 'ok']);
  });

  test('names what is old, loses jobs or has another time', async () => {
    const info = { redis_version: '6.0.9', maxmemory_policy: 'allkeys-lru', aof_enabled: '0' };
    assert.deepEqual(await verdicts(info, -1_500), ['ok', 'problem', 'problem', 'warning', 'warning']);
    assert.deepEqual((await verdicts({})).slice(1, 4), ['unknown', 'unknown', 'unknown']);
  });

  test('says nothing outside of a fleet, and one thing where Redis does not answer', async () => {
    const { findings } = await examined({ unitName: null });
    assert.ok(findings.every(({ subject }) => subject !== 'Redis'));
    const redis = { shown, error: 'connect ECONNREFUSED', info: {}, aheadMs: null };
    const lost = await examined({ env: { REDIS_URL: 'redis://r' }, unitName: null, redis });
    const own = lost.findings.filter(({ subject }) => subject === 'Redis');
    assert.deepEqual(
      own.map(({ verdict, check }) => `${verdict}: ${check}`),
      ['problem: reachable'],
    );
  });

  test('asks a real one, and prints no password', { skip: noRedis }, async (t) => {
    const { url } = await startRedis({ t });
    const rest = { redisUrlFile: null, tlsCa: null };
    const { error, info, aheadMs } = await probeRedis({ redisUrl: url, ...rest });
    assert.equal(error, null);
    assert.equal(info.maxmemory_policy, 'noeviction');
    assert.equal(info.aof_enabled, '1');
    assert.ok(aheadMs !== null);
    const redisUrl = url.replace('unix://', 'unix://shop:topsecret@localhost');
    const refused = await probeRedis({ redisUrl, ...rest });
    assert.match(refused.error ?? '', /WRONGPASS/);
    assert.doesNotMatch(JSON.stringify(refused), /topsecret/);
  });
});
