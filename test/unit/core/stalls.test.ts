import assert from 'node:assert/strict';
import { test } from 'node:test';
import { publicStats } from '../../../src/core/stats.js';
import type { Stall } from '../../../src/protocol/stall.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { anyStall } from '../../support/stall.js';
import { statsOf } from './stats-of.js';

const stall: Stall = {
  ...anyStall,
  tookMs: 812.4,
  stack: '    at checkout (/srv/app/server.js:12:5)',
};

function serving(): SimCluster {
  const cluster = new SimCluster();
  cluster.start();
  cluster.run(2_000);
  return cluster;
}

function tell(cluster: SimCluster, told: Partial<Stall>, key = 1) {
  cluster.post({ type: 'stalled', key, stall: { ...stall, ...told } });
  const effects = cluster.turns.at(-1)?.effects ?? [];
  const [log] = effects.flatMap((effect) => (effect.type === 'log' ? [effect] : []));
  return { log, events: effects.filter(({ type }) => type === 'stall') };
}

test('a stall is one entry of the log that names its place, and one event', () => {
  const { log, events } = tell(serving(), { looks: 4, share: 0.75, more: 3 });
  assert.equal(log?.level, 'warn');
  assert.equal(
    log?.message,
    'worker 1 stalled: event loop blocked for 812 ms in checkout (/srv/app/server.js:12:5)',
  );
  assert.equal(log?.fields?.sharePercent, 75);
  assert.equal(log?.fields?.alike, '3 more of them since the last report');
  assert.deepEqual(
    events.map((event) => 'worker' in event && [event.worker, event.generation]),
    [[1, 1]],
  );
});

test('garbage collection and a process that did not run blame no function', () => {
  const cluster = serving();
  const nowhere = { function: null, file: null, line: null, column: null, stack: null } as const;
  const gc = tell(cluster, { ...nowhere, cause: 'gc', gcMs: 700 }).log;
  assert.equal(
    gc?.message,
    'worker 1 stalled: event loop blocked for 812 ms, 700 ms of it by garbage collection',
  );
  const starved = tell(cluster, { ...nowhere, cause: 'starved', notRunMs: 790 }).log;
  assert.equal(starved?.level, 'info');
  assert.equal(starved?.message, 'worker 1 did not run for 812 ms: the process got no CPU, or was stopped');
});

test('a function that was seen only after a native call had returned is told as near', () => {
  const { log } = tell(serving(), { exact: false, function: null });
  assert.equal(
    log?.message,
    'worker 1 stalled: event loop blocked for 812 ms in /srv/app/server.js:12:5, or in what it had just called',
  );
});

test('the stats keep the last ten stalls, newest first, and the public ones none', () => {
  const cluster = serving();
  for (let line = 1; line <= 12; line++) tell(cluster, { line });
  cluster.run(5_000);
  const whole = statsOf(cluster);
  assert.deepEqual(
    whole.stalls.map(({ line }) => line),
    [12, 11, 10, 9, 8, 7, 6, 5, 4, 3],
  );
  assert.equal(whole.stalls[0]?.agoSeconds, 5);
  assert.equal('stalls' in publicStats(whole), false);
});

test('a stall of a worker that is gone is told nobody', () => {
  const { log, events } = tell(serving(), {}, 99);
  assert.deepEqual([log, events], [undefined, []]);
});
