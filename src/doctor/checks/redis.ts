import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, problem, unknown, warning } from '../finding.js';

/** Of a fleet: whether its Redis is there, and keeps what it is given. */
export const redisChecks: readonly Check[] = [reachable, version, policy, appendOnly, clock];

function reachable({ redis }: Facts): readonly Outcome[] {
  if (redis === null) return [];
  const { shown, error } = redis;
  if (error === null) return [ok('reachable', `${shown} answers`)];
  const found = `${shown ?? 'its URL'}: ${error}. This host serves alone: no schedule of the fleet runs, jobs wait on disk`;
  return [problem('reachable', found, 'start Redis, or correct fleet.redis_url')];
}

function version(facts: Facts): readonly Outcome[] {
  return answering(facts, 'server', ({ redis_version: redis, valkey_version: valkey }) => {
    if (valkey !== undefined) return ok('server', `Valkey ${valkey}`);
    const [major = 0, minor = 0] = (redis ?? '').split('.').map(Number);
    if (redis === undefined) return null;
    return major > 6 || (major === 6 && minor >= 2)
      ? ok('server', `Redis ${redis}`)
      : problem('server', `Redis ${redis} is older than 6.2`, 'Redis 6.2, Valkey 7.2, or later');
  });
}

function policy(facts: Facts): readonly Outcome[] {
  const check = 'maxmemory-policy';
  return answering(facts, check, ({ maxmemory_policy: found }) => {
    if (found === undefined) return null;
    if (found === 'noeviction') return ok(check, found);
    const text = `${found}: jobs and locks are deleted when the memory of Redis is short`;
    return problem(check, text, 'maxmemory-policy noeviction in redis.conf');
  });
}

function appendOnly(facts: Facts): readonly Outcome[] {
  const check = 'appendonly';
  return answering(facts, check, ({ aof_enabled: found }) => {
    if (found === undefined) return null;
    if (found === '1') return ok(check, 'yes');
    const text = 'no: a restart of Redis forgets the jobs since its last snapshot';
    return warning(check, text, 'appendonly yes in redis.conf');
  });
}

function clock({ redis }: Facts): readonly Outcome[] {
  if (redis === null || redis.aheadMs === null) return [];
  const seconds = Math.abs(redis.aheadMs) / 1_000;
  if (seconds < 1) return [ok('clock', 'less than a second from that of Redis')];
  const found = `${seconds.toFixed(1)} s ${redis.aheadMs < 0 ? 'ahead of' : 'behind'} that of Redis: schedules run by the earliest clock of the fleet`;
  return [warning('clock', found, 'synchronise both hosts, as by chrony or systemd-timesyncd')];
}

function answering(
  { redis }: Facts,
  check: string,
  judge: (info: Readonly<Record<string, string>>) => Outcome | null,
): readonly Outcome[] {
  if (redis === null || redis.error !== null) return [];
  return [judge(redis.info) ?? unknown(check, 'Redis does not say')];
}
