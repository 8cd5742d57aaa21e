import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../../src/config/load.js';
import type { Effect } from '../../../src/core/effects.js';
import type { Event } from '../../../src/core/events.js';
import { clusterStats } from '../../../src/core/stats.js';
import { ConfigError } from '../../../src/errors.js';
import { createCommands } from '../../../src/master/commands.js';
import { createReleases } from '../../../src/master/releases.js';
import type { ControlEvent } from '../../../src/protocol/control-api.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { loadInput } from '../../support/load-input.js';
import { sampleSnapshot } from '../metrics/samples.js';

/** The commands of a fake cluster that serves. */
async function fakeCommands({ load = () => loadConfig(loadInput()) } = {}) {
  const cluster = new SimCluster({ policy: { reload: { soak: 0 } } }).start().run(500);
  const records: unknown[] = [];
  const refused: string[] = [];
  const waiting: string[] = [];
  const releases = createReleases({ loaded: await loadConfig(loadInput()), load, cwd: '/srv', env: {} });
  const centre = createCommands({
    post: (event: Event) => {
      const before = cluster.state;
      show(cluster.post(event));
      centre.changed(before, cluster.state, event);
    },
    status: () =>
      clusterStats(cluster.state, {
        now: cluster.now,
        kind: 'server',
        mode: 'cluster',
        master: { pid: 1, version: '0', node: 'v0', rssBytes: 0 },
        records: [],
      }),
    releases,
    history: () => ({
      records: () => [],
      nextSerial: async () => 12,
      add: (record) => void records.push(record),
      settled: async () => {},
    }),
    why: async () => ({ lines: [], problem: null }),
    metrics: async () => sampleSnapshot,
    jobs: {
      list: async () => [],
      run: async () => null,
      follow: () => null,
      runs: async () => null,
      output: async () => '',
    },
    notifier: { test: async () => null },
    fleet: () => null,
    upgrades: {
      get: () => Promise.reject(new Error('no upgrades here')),
      abort: () => null,
      refusal: () => null,
    },
    deploys: async () => Promise.reject(new Error('no deploys here')),
    backplane: { want: () => {}, ask: () => Promise.reject(new Error('no backplane here')) },
    evidence: { stack: refuse, profile: refuse, heapSnapshot: refuse },
    evidenceFolder: '/nowhere',
    recent: { lines: () => [], follow: () => () => {} },
    logSource: () => ({ kind: 'none' }),
    generation: () => cluster.state.generation,
    clock: () => 77,
    onRefused: (reason) => void refused.push(reason),
    onNeedRestart: (settings) => void waiting.push(...settings),
  });
  const show = (effects: readonly Effect[]): void => {
    for (const effect of effects)
      if (effect.type === 'answer' || effect.type === 'step' || effect.type === 'record')
        centre.perform(effect);
  };
  const runOn = (): void => {
    const seen = cluster.turns.length;
    cluster.run(2_000);
    for (const { effects } of cluster.turns.slice(seen)) show(effects);
  };
  return { cluster, commands: centre.commands, records, refused, waiting, runOn };
}

const refuse = async () => ({ accepted: false, reason: 'not here' }) as const;
const quick = { by: 'ann', soak: false, rollback: true };

describe('commands', () => {
  test('a reload is answered with its generation, and its record is kept', async () => {
    const { commands, records, runOn } = await fakeCommands();
    const seen: ControlEvent['type'][] = [];
    commands.subscribe(({ type }) => void seen.push(type));
    const answer = await commands.reload(quick);
    assert.deepEqual(answer, {
      accepted: true,
      message: 'generation 2',
      serial: 12,
      generation: 2,
      needRestart: [],
    });
    runOn();
    assert.equal(commands.status().generation, 2);
    assert.equal(commands.status().lastReload?.atMs, 77);
    assert.equal(commands.status().lastReload?.serial, 12);
    assert.ok(records.length > 0);
    for (const type of ['step', 'record', 'worker'] as const) assert.ok(seen.includes(type), type);
  });

  test('a second reload is refused while the first is being prepared, and while it runs', async () => {
    const { commands } = await fakeCommands();
    const [first, second] = await Promise.all([commands.reload(quick), commands.reload(quick)]);
    assert.deepEqual([first.accepted, second.accepted], [true, false]);
    const third = await commands.reload(quick);
    assert.match(third.accepted ? '' : third.reason, /a reload to generation 2 is under way/);
  });

  test('a wrong configuration refuses the reload, and says so in the log', async () => {
    const problem = { field: 'linger', value: 'x', source: 'the file', expected: 'a time' };
    const { commands, refused, cluster } = await fakeCommands({
      load: () => Promise.reject(new ConfigError([problem])),
    });
    const answer = await commands.reload(quick);
    assert.match(answer.accepted ? '' : answer.reason, /^reload: linger: "x" .*expected a time/);
    assert.equal(refused.length, 1);
    assert.equal(cluster.state.reload, null);
    const later = await commands.reload(quick);
    assert.equal(later.accepted, false, 'and does not block the next one');
  });

  test('names the settings that wait for a restart, in the answer and in the log', async () => {
    const files = { '/etc/rom-agent/rom-agent.toml': 'port = 4000\n' };
    const { commands, waiting } = await fakeCommands({ load: () => loadConfig(loadInput({ files })) });
    const answer = await commands.reload(quick);
    assert.deepEqual(answer.accepted && answer.needRestart, ['port']);
    assert.deepEqual(waiting, ['port']);
  });

  test('scale, restart and abort are answered', async () => {
    const { commands, cluster } = await fakeCommands();
    assert.deepEqual(await commands.scale({ add: 1 }, 'ann'), {
      accepted: true,
      message: 'from 2 to 3 workers',
    });
    assert.equal(cluster.state.slots.length, 3);
    const none = await commands.restart(9, 'ann');
    assert.match(none.accepted ? '' : none.reason, /there is no worker 9; expected one of 1, 2, 3/);
    const idle = await commands.abort('ann');
    assert.match(idle.accepted ? '' : idle.reason, /no reload is under way/);
    commands.stop('ann');
    assert.equal(cluster.state.life.phase, 'stopping');
  });

  test('who has left hears no more', async () => {
    const { commands } = await fakeCommands();
    const seen: ControlEvent[] = [];
    commands.subscribe((event) => void seen.push(event))();
    await commands.scale({ to: 1 }, 'ann');
    assert.deepEqual(seen, []);
  });
});
