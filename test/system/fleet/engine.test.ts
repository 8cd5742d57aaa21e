import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Engine, Json, NewJob } from '../../../src/backplane/engine.js';
import { redisAddress } from '../../../src/backplane/redis/address.js';
import { openConnection } from '../../../src/backplane/redis/connection.js';
import { redisEngine } from '../../../src/backplane/redis/engine.js';
import { probeRedis } from '../../../src/backplane/redis/probe.js';
import { freePort } from '../../support/net.js';
import { noRedis, type RedisServer, startRedis } from '../../support/redis.js';
import { waitFor } from '../../support/wait.js';

/** Keeps in memory what the embedded engine keeps on disk. */
function journal(): Pick<Engine, 'add' | 'work' | 'counts'> {
  const kept = new Map<string, NewJob>();
  return {
    add: async (_queue, job) => {
      const added = !kept.has(job.id ?? '');
      kept.set(job.id ?? '', job);
      return { id: job.id ?? '', added };
    },
    work: (queue, _concurrency, handle) => {
      let closed = false;
      const loop = async (): Promise<void> => {
        for (const [id, job] of kept) {
          if (closed) return;
          const given = { queue, id, name: null, data: job.data, attempt: 1, attempts: 9, addedAtMs: 0 };
          await handle(given, new AbortController().signal).then(
            () => kept.delete(id),
            () => {},
          );
        }
        if (!closed) setTimeout(() => void loop(), 20).unref();
      };
      void loop();
      return {
        close: async () => {
          closed = true;
        },
      };
    },
    counts: async () => ({ waiting: kept.size, delayed: 0, active: 0, completed: 0, failed: 0 }),
  };
}

interface Host {
  readonly engine: Engine;
  readonly said: string[];
}

function host(redis: Pick<RedisServer, 'url' | 'before'>, ca: string | null = null): Host {
  const said: string[] = [];
  const address = redisAddress(redis.url, 'REDIS_URL');
  const connection = openConnection({ address, ca, name: 'test' });
  const engine = redisEngine({
    connection,
    fleet: 'test',
    shown: address.shown,
    journal: journal(),
    info: (message) => said.push(message),
    warn: (message) => said.push(message),
    lockMs: 2_000,
  });
  redis.before(() => engine.close());
  return { engine, said };
}

describe('the engine on Redis', { skip: noRedis }, () => {
  test('adds a job once per id, and any host handles it', async (t) => {
    const redis = await startRedis({ t });
    const [a, b] = [host(redis).engine, host(redis).engine];
    await waitFor('Redis', () => a.health().connected && b.health().connected);
    assert.deepEqual(await a.add('pdf', { id: 'x:1', data: { n: 1 } }), { id: 'x:1', added: true });
    assert.deepEqual(await b.add('pdf', { id: 'x:1', data: { n: 2 } }), { id: 'x:1', added: false });
    assert.deepEqual(await a.queues(), ['pdf']);
    assert.equal((await b.counts('pdf')).waiting, 1);
    const handled: Json[] = [];
    b.work('pdf', 2, async ({ id, data, attempt }) => {
      handled.push({ id, data, attempt });
      if (attempt === 1) throw new Error('once');
      return null;
    });
    await waitFor('the second attempt', async () => (await a.counts('pdf')).completed === 1);
    assert.deepEqual(handled, [
      { id: 'x:1', data: { n: 1 }, attempt: 1 },
      { id: 'x:1', data: { n: 1 }, attempt: 2 },
    ]);
    assert.equal((await a.add('pdf', { id: 'x:1', data: null })).added, false);
    await b.add('pdf', { id: 'bad', data: 1, attempts: 1 }).then(() => b.add('pdf', { id: 'bad', data: 1 }));
    await waitFor('the failure', async () => (await a.counts('pdf')).failed === 1);
    const [failed] = await a.failed('pdf', 5);
    assert.equal(failed?.error, 'once');
    await assert.rejects(a.retry('pdf', 'nobody'), /no failed job has the id "nobody"/);
  });

  test('keeps values with versions that only grow, and counts', async (t) => {
    const { engine } = host(await startRedis({ t }));
    const { version } = await engine.set('a', { x: 1 });
    await assert.rejects(engine.set('a', 2, { ifVersion: version + 7 }), { code: 'version' });
    await assert.rejects(engine.set('a', 2, { ifVersion: 0 }), { code: 'version' });
    const second = await engine.set('a', 2, { ifVersion: version, ttlMs: 60_000 });
    assert.ok(second.version > version);
    const entry = await engine.get('a');
    assert.equal(entry?.value, 2);
    assert.ok(entry?.ttlMs !== null && Number(entry?.ttlMs) > 1_000);
    assert.equal(await engine.delete('a'), true);
    assert.equal(await engine.delete('a'), false);
    assert.equal(await engine.get('a'), undefined);
    assert.ok((await engine.set('a', 'new', { ifVersion: 0 })).version > second.version);
    await assert.rejects(engine.increment('a', 1), { code: 'type' });
    assert.equal(await engine.increment('n', 2), 2);
    assert.equal(await engine.increment('n', -0.5), 1.5);
  });

  test('has locks whose tokens grow, also when one holder is late', async (t) => {
    const redis = await startRedis({ t });
    const [a, b] = [host(redis).engine, host(redis).engine];
    const first = await a.acquire('nightly', 300, 0);
    assert.ok(first !== null);
    assert.equal(await b.acquire('nightly', 300, 0), null);
    const second = await b.acquire('nightly', 60_000, 30_000);
    assert.ok(second !== null && second.token > first.token);
    await assert.rejects(first.extend(), { code: 'lost' });
    await first.release();
    assert.equal(await a.acquire('nightly', 1_000, 0), null, 'a late release frees nothing');
    await b.extend('nightly', second.token, 60_000);
    await second.release();
    assert.ok((await a.acquire('nightly', 1_000, 0)) !== null);
  });

  test('loses no job when Redis is killed, and says so once', async (t) => {
    const redis = await startRedis({ t });
    const { engine, said } = host(redis);
    const other = host(redis).engine;
    const heard: Json[] = [];
    other.subscribe('chat', (message) => heard.push(message));
    engine.subscribe('chat', (message) => heard.push(message));
    await waitFor('Redis', () => engine.health().connected && other.health().connected);
    await waitFor('both hear', async () => {
      heard.length = 0;
      await engine.publish('chat', 'hello');
      await new Promise((resolve) => setTimeout(resolve, 50));
      return heard.length === 2;
    });
    await engine.add('mail', { id: '1', data: 1 });
    await redis.kill();
    await waitFor('the loss', () => !engine.health().connected);
    assert.deepEqual(await engine.add('mail', { id: '2', data: 2 }), { id: '2', added: true });
    assert.deepEqual(await engine.add('mail', { id: '1', data: 1 }), { id: '1', added: true });
    heard.length = 0;
    await engine.publish('chat', 'alone');
    assert.deepEqual(heard, ['alone']);
    await assert.rejects(engine.get('x'), /state\.get\("x"\): Redis at unix:.* does not answer/);
    await redis.start();
    const done: string[] = [];
    other.work('mail', 4, async ({ id }) => {
      done.push(id);
      return null;
    });
    await waitFor('both jobs', async () => (await engine.counts('mail')).completed === 2);
    assert.deepEqual([...done].sort(), ['1', '2']);
    assert.equal(said.length, 2);
    assert.match(said[0] ?? '', /^lost Redis at unix:/);
    assert.match(said[1] ?? '', /^Redis at unix:.* is back: 2 jobs/);
  });

  test('says within its time that a Redis that is stopped does not answer, and goes on when it does', async (t) => {
    const redis = await startRedis({ t });
    const { engine } = host(redis);
    await waitFor('Redis', () => engine.health().connected);
    redis.signal('SIGSTOP');
    await assert.rejects(engine.increment('n', 1), { code: 'away' });
    assert.deepEqual(await engine.add('mail', { id: '1', data: 1 }), { id: '1', added: true });
    redis.signal('SIGCONT');
    await waitFor('the job', async () => (await engine.counts('mail')).waiting === 1);
  });
});

describe('a Redis with TLS and an ACL user', { skip: noRedis }, () => {
  test('takes jobs of its fleet, and names a wrong password and a missing authority without secrets', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'rom-agent-tls-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const [key, cert, acl] = ['key.pem', 'cert.pem', 'users.acl'].map((name) => join(directory, name));
    assert.ok(key !== undefined && cert !== undefined && acl !== undefined);
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject];
    execFileSync('openssl', [...request, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const rights = '~{rom-agent:test}:* &{rom-agent:test}:* +@all -@dangerous +info +keys +client';
    writeFileSync(acl, `user default off\nuser shop on >topsecret ${rights}\n`);
    const port = await freePort();
    const tls = [`tls-port ${port}`, `tls-cert-file ${cert}`, `tls-key-file ${key}`, 'tls-auth-clients no'];
    const redis = await startRedis({ t, conf: [...tls, `aclfile ${acl}`] });
    const url = (password: string) => `rediss://shop:${password}@localhost:${port}`;

    const { engine } = host({ ...redis, url: url('topsecret') }, readFileSync(cert, 'utf8'));
    await waitFor('Redis', () => engine.health().connected);
    await engine.add('pdf', { id: '1', data: null });
    const handled: string[] = [];
    engine.work('pdf', 1, async ({ id }) => {
      handled.push(id);
      return null;
    });
    await waitFor('the job', () => handled.length === 1);
    assert.deepEqual(await engine.set('key', 1), { version: 1 });

    const wrong = await probeRedis({ redisUrl: url('othersecret'), redisUrlFile: null, tlsCa: cert });
    assert.match(wrong.error ?? '', /WRONGPASS/);
    const unknown = await probeRedis({ redisUrl: url('topsecret'), redisUrlFile: null, tlsCa: null });
    assert.match(unknown.error ?? '', /self-signed certificate/);
    assert.doesNotMatch(JSON.stringify([wrong, unknown]), /secret/);
  });
});
