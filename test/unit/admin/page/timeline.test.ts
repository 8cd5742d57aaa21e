import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Lane } from '../../../../src/admin/api.js';
import { Series } from '../../../../src/admin/page/series.js';
import { Lanes, momentsOf, rowsOf } from '../../../../src/admin/page/timeline.js';
import { lane, sampleOf, stats, worker } from '../../../system/dashboard/scenes.js';

const window = { fromMs: 1_000_000, toMs: 1_300_000, workers: 2 };

/** Worker 1 is replaced: the new process starts before the old one ends. */
const replaced: readonly Lane[] = [
  lane(1, 11, 900_000, {
    phases: [
      { phase: 'starting', fromMs: 900_000, reason: null },
      { phase: 'ready', fromMs: 901_000, reason: null },
      { phase: 'draining', fromMs: 1_100_000, reason: null },
    ],
    endMs: 1_110_000,
    ending: { kind: 'drained', cause: null, code: 0, signal: null, lost: 0 },
  }),
  lane(1, 12, 1_095_000, { generation: 4 }),
];

describe('lanes', () => {
  test('show each slot from its first to its last phase in the time that is looked at', () => {
    const [first, second] = rowsOf(replaced, window);
    assert.deepEqual(
      first?.bars.map(({ phase, fromMs, toMs, track }) => [phase, fromMs, toMs, track]),
      [
        ['ready', 1_000_000, 1_100_000, 0],
        ['draining', 1_100_000, 1_110_000, 0],
        ['starting', 1_095_000, 1_095_900, 1],
        ['ready', 1_095_900, 1_300_000, 1],
      ],
    );
    assert.deepEqual(first?.marks, [{ atMs: 1_110_000, track: 0, kind: 'drained' }]);
    assert.deepEqual([second?.worker, second?.bars], [2, []]);
  });

  test('have the spares last, and a slot that is no longer wanted while it is in sight', () => {
    const rows = rowsOf([lane(null, 31, 1_000_000), lane(3, 32, 1_000_000)], window);
    assert.deepEqual(
      rows.map(({ worker: id }) => id),
      [1, 2, 3, null],
    );
  });

  test('keep what lives however many have died', () => {
    const lanes = new Lanes();
    lanes.put(lane(1, 1, 0));
    for (let pid = 2; pid < 3_000; pid++) lanes.put(lane(2, pid, pid, { endMs: pid + 1 }));
    assert.ok(lanes.all().length <= 600, `${lanes.all().length} lanes`);
    assert.ok(lanes.all().some(({ pid }) => pid === 1));
  });

  test('are told in words, newest first, with the cause of an end', () => {
    const crashed = lane(2, 21, 1_000_000, {
      endMs: 1_005_000,
      ending: { kind: 'crash', cause: 'TypeError: no', code: 1, signal: null, lost: 2 },
    });
    const [last, before] = momentsOf([crashed], 10);
    assert.deepEqual(
      [last?.what, last?.cause, last?.bad],
      ['crashed', 'TypeError: no · exit status 1 · 2 requests lost', true],
    );
    assert.equal(before?.what, 'is ready');
  });
});

describe('samples', () => {
  const of = stats([worker(1), worker(2)]);

  test('of more than an hour are forgotten', () => {
    const series = new Series();
    for (let second = 0; second < 10_000; second++) series.add(sampleOf(second * 1_000, of));
    assert.ok(series.length <= 3_661, `${series.length} are kept`);
    assert.equal(series.column('rssBytes').length, series.length);
    assert.equal(series.times.at(-1), 9_999);
  });

  test('with a hole between them are not joined by a line, and an old one changes nothing', () => {
    const series = new Series();
    for (const second of [1, 2, 100, 99]) series.add(sampleOf(second * 1_000, of));
    assert.deepEqual(series.times, [1, 2, 3, 100]);
    assert.equal(series.column('p99')[2], null);
    assert.equal(series.greatest('p99', 0), 38);
    assert.equal(series.mean('requestsPerSecond', 5_000), 603);
  });
});
