import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fixture } from '../../integration/service.js';
import { ask } from '../../support/net.js';
import { startRedis } from '../../support/redis.js';
import { waitFor } from '../../support/wait.js';
import { createNetwork, middle, noHosts } from './hosts.js';

const jobs = Number(process.env.FLEET_JOBS ?? 10_000);
/** Twice this is longer than the lock of a job lasts that nobody renews, ms. */
const halfPause = 10_000;
/** A machine may be ten times slower. */
const patience = 900_000;

describe(`${jobs} jobs of one queue, on three hosts`, { skip: noHosts }, () => {
  test('are all done while hosts and Redis are killed, paused and cut off', async (t) => {
    const notes = mkdtempSync(join(tmpdir(), 'rom-agent-queue-'));
    const effects = join(notes, 'effects');
    mkdirSync(effects);
    const network = createNetwork(t);
    const redis = await startRedis({ t, conf: [`bind ${middle}`, 'port 6379', 'protected-mode no'] });
    // After the hosts that write to it.
    t.after(() => rmSync(notes, { recursive: true, force: true }));
    const toml = `app = "${fixture('system/fleet-queue.mjs')}"
workers = 1
[fleet]
redis_url = "redis://${middle}:6379"
`;
    const names = ['a', 'b', 'c'] as const;
    const share = (index: number): number => Math.floor((jobs + index) / names.length);
    const [a, b, c] = names.map((name, index) =>
      network.host(name, { toml, env: { NOTES: notes, NAME: name, SHARE: `${share(index)}` } }),
    );
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    const linesOf = (kind: string): readonly string[] =>
      names.flatMap((name) => {
        const file = join(notes, `${kind}-${name}`);
        return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
      });
    const isAdded = (): number => linesOf('added').reduce((sum, line) => sum + Number(line), 0);
    const added = (part: number): Promise<unknown> =>
      waitFor(`${part} of the jobs to be added`, () => isAdded() >= part * jobs, {
        timeout: patience,
        interval: 100,
      });
    const said: string[] = [];
    const say = (what: string): void => {
      const [begun, done] = [linesOf('begun').length, readdirSync(effects).length];
      said.push(`${what}: ${isAdded()} added, ${begun} begun, ${done} done`);
    };

    await Promise.all([a.start(), b.start(), c.start()]);
    await added(0.1);
    await b.crash();
    say('b killed');
    await added(0.15);
    await b.start();
    await added(0.2);
    await redis.kill();
    say('Redis killed');
    await added(0.27);
    // It has jobs on its disk that Redis has not.
    await c.crash();
    say('c killed');
    await redis.start();
    await added(0.3);
    await c.start();
    await added(0.33);
    a.signal('SIGSTOP');
    say('a paused');
    await sleep(halfPause);
    c.link('down');
    say('c cut off, too');
    await sleep(halfPause);
    a.signal('SIGCONT');
    say('a goes on');
    await sleep(halfPause);
    c.link('up');
    say('c back');
    await added(0.87);
    await redis.kill();
    await redis.start();
    say('Redis restarted');
    await added(0.93);
    await a.crash();
    say('a killed');
    await a.start();

    const wanted = names.flatMap((name, index) =>
      Array.from({ length: share(index) }, (_, number) => `${name}-${number}`),
    );
    const counts = async (): Promise<Readonly<Record<string, number>>> =>
      (await ask({ host: a.address, port: 3000, path: '/' })).json as Record<string, number>;
    const story = async (): Promise<string> =>
      [said.join('\n'), JSON.stringify(await counts().catch(String)), a.log(), b.log(), c.log()].join(
        '\n---\n',
      );
    await waitFor('every job to be done', () => readdirSync(effects).length, {
      timeout: patience,
      interval: 500,
      until: (done) => done >= jobs,
    }).catch(async (error: Error) => {
      const done = new Set(readdirSync(effects));
      const missing = wanted.filter((id) => !done.has(id));
      throw new Error(`${error.message}; missing ${missing}\n${await story()}`);
    });
    assert.deepEqual(new Set(readdirSync(effects)), new Set(wanted));
    await waitFor('the queue to say so', counts, {
      interval: 500,
      until: (of) => of.completed === jobs && of.waiting === 0 && of.active === 0 && of.delayed === 0,
    }).catch(async (error: Error) => {
      throw new Error(`${error.message}\n${await story()}`);
    });
    assert.equal((await counts()).failed, 0);

    const begun = linesOf('begun');
    const times = new Map<string, number>();
    for (const id of begun) times.set(id, (times.get(id) ?? 0) + 1);
    const again = [...times.values()].filter((count) => count > 1).length;
    const notAdded = [a, b, c].flatMap((host) => host.log().match(/not added: .*/g) ?? []);
    for (const line of said) t.diagnostic(line);
    t.diagnostic(
      `${jobs} done, ${begun.length} times begun, ${again} jobs begun more than once, ${notAdded.length} adds refused`,
    );
  });
});
