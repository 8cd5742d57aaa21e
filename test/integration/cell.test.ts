import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { ClusterStats } from '../../src/protocol/stats.js';
import { startLoad } from '../support/load.js';
import { ask } from '../support/net.js';
import {
  entriesOf,
  fixture,
  lostNothing,
  patience,
  patient,
  readyPids,
  type Service,
  serve,
  stopped,
  untilStats,
} from './service.js';

const app = fixture('integration/deadly.mjs');
/** CELL_CRASHES=50 in `make test-cell`. */
const crashes = Number(process.env.CELL_CRASHES ?? 3);

/** A service with a cell, one kind of request of which two workers have died. */
async function suspicious(t: TestContext, env: Readonly<Record<string, string>> = {}): Promise<Service> {
  const service = await serve(t, {
    app,
    env: {
      ...patient,
      ROM_AGENT_POISON_DEATHS: '2',
      ROM_AGENT_POISON_BLOCK: '1h',
      ROM_AGENT_POISON_CELL: 'on',
      ROM_AGENT_POISON_CELL_TIMEOUT: '2m',
      ROM_AGENT_RESTART_CRASH_DELAY: '10ms',
      ROM_AGENT_RESTART_CRASH_DELAY_MAX: '50ms',
      ...env,
    },
  });
  // So that it is known what is usual.
  const end = performance.now() + 4_000;
  while (performance.now() < end) {
    await Promise.all(Array.from({ length: 4 }, () => ask({ port: service.port, path: '/usual' })));
    await setTimeout(20);
  }
  for (let death = 0; death < 2; death += 1) {
    const { restarts } = await untilStats(service, 'a full set', ({ ready, wanted }) => ready === wanted);
    await act(service, 'exit').catch(() => {});
    await untilStats(service, 'a restart', (now) => now.restarts > restarts && now.ready === now.wanted);
  }
  await cell(service, ({ status }) => status === 'ready');
  return service;
}

function act({ port }: Service, name: string) {
  return ask({ port, path: `/deadly?act=${name}`, timeout: patience });
}

async function cell(
  service: Service,
  until: (cell: NonNullable<ClusterStats['cell']>) => boolean,
): Promise<NonNullable<ClusterStats['cell']>> {
  const stats = await untilStats(service, 'a cell', (now) => now.cell !== undefined && until(now.cell));
  return stats.cell ?? assert.fail();
}

interface Echo {
  readonly pid: number;
  readonly cell: string | null;
  readonly remoteAddress: string;
  readonly address: { readonly port: number };
}

describe('a suspected kind of request', { timeout: 1_800_000 }, () => {
  it(`dies in the cell alone, ${crashes} times, and no other request is lost`, async (t) => {
    const service = await suspicious(t);
    const { port } = service;
    const workers = await readyPids(service);
    const before = await untilStats(service, 'stats', () => true);
    const load = startLoad({
      ...{ t, port, path: '/usual', expectStatus: 201, requestTimeout: patience },
      maxMs: 3_600_000,
      maxRequests: 10_000_000,
      clients: [
        { kind: 'keep-alive', count: 4, pauseMs: 5 },
        { kind: 'per-connection', count: 2, pauseMs: 5 },
      ],
    });
    for (let crash = 1; crash <= crashes; crash += 1) {
      const { pid } = await cell(service, ({ status }) => status === 'ready');
      const { json } = await act(service, 'echo');
      const seen = json as Echo;
      assert.deepEqual([seen.cell, seen.pid], ['1', pid]);
      assert.deepEqual([seen.remoteAddress, seen.address.port], ['127.0.0.1', port]);
      assert.equal((await act(service, 'exit')).status, 502);
      await cell(service, ({ deaths }) => deaths === crash);
      await load.reached(20, patience);
    }
    const { ok } = await lostNothing(load);
    t.diagnostic(`${crashes} deaths of the cell, ${ok} other requests answered, none lost`);
    const { restarts, deaths } = await untilStats(service, 'stats', () => true);
    assert.deepEqual([restarts, deaths.length], [before.restarts, before.deaths.length]);
    assert.deepEqual(await readyPids(service), workers);
    const [entry = assert.fail()] = await entriesOf(
      service.daemon,
      /^the cell died, and no other worker: /,
      1,
    );
    assert.equal(entry.level, 'warn');
    assert.deepEqual(entry.code, 3);
    await stopped(service);
  });

  it('that hangs, or fills the memory, is ended with the cell by limits of its own', async (t) => {
    const service = await suspicious(t, {
      ROM_AGENT_POISON_CELL_TIMEOUT: '5s',
      ROM_AGENT_POISON_CELL_MEMORY: '400',
    });
    const workers = await readyPids(service);
    for (const [name, cause] of [
      ['spin', /no other worker: silent for/],
      ['fill', /no other worker: its resident set of \d+ MiB is over its limit of 400 MiB/],
    ] as const) {
      await cell(service, ({ status }) => status === 'ready');
      const { status } = await act(service, name);
      assert.ok(status === 502 || status === 504, `${name}: ${status}`);
      await entriesOf(service.daemon, cause, 1);
    }
    assert.deepEqual(await readyPids(service), workers);
    await stopped(service);
  });

  it('goes to a cell of the next generation after a reload, and is answered all the while', async (t) => {
    const service = await suspicious(t, { ROM_AGENT_RELOAD_SOAK: '1s' });
    const load = startLoad({
      ...{ t, port: service.port, path: '/deadly?act=echo', expectStatus: 201, requestTimeout: patience },
      clients: [{ kind: 'keep-alive', count: 2, pauseMs: 5 }],
    });
    await load.reached(20, patience);
    service.daemon.kill('SIGHUP');
    const { pid } = await cell(service, ({ generation, status }) => generation === 2 && status === 'ready');
    const { json } = await act(service, 'echo');
    assert.deepEqual([(json as Echo).cell, (json as Echo).pid], ['1', pid]);
    await load.reached(20, patience);
    await lostNothing(load);
    const { lastReload } = await untilStats(
      service,
      'the end of the reload',
      (now) => now.lastReload !== null,
    );
    assert.equal(lastReload?.verdict, 'done');
    await stopped(service);
  });
});
