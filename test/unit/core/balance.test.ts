import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { movesBetween } from '../../../src/core/balance.js';
import type { Effect } from '../../../src/core/effects.js';
import { settleTime } from '../../../src/protocol/limits.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { simHeartbeat } from '../../simulation/sim-policy.js';

function moves(...kept: number[]): string[] {
  const workers = kept.map((kept, index) => ({ key: index + 1, kept }));
  return movesBetween(workers).map(({ from, to, count }) => `${count} from ${from} to ${to}`);
}

/** Two workers that are ready, and say nothing that the test does not make them say. */
function serving(workers = 2, evensOut = true): SimCluster {
  return new SimCluster({ policy: { workers, evensOut, hangTimeout: 60_000 }, play: () => ({ hang: 1 }) })
    .start()
    .run(1_000);
}

function report(cluster: SimCluster, key: number, kept: number): readonly Effect[] {
  return cluster.post({ type: 'heartbeat', key, heartbeat: simHeartbeat({ kept }) });
}

function handOns(effects: readonly Effect[]): string[] {
  return effects.flatMap((effect) =>
    effect.type === 'even-out' ? [`${effect.count} from ${effect.key} to ${effect.to}`] : [],
  );
}

describe('movesBetween', () => {
  test('evens two workers out by half of the difference', () => {
    assert.deepEqual(moves(64, 0), ['32 from 1 to 2']);
    assert.deepEqual(moves(0, 3), ['1 from 2 to 1']);
    assert.deepEqual(moves(2, 0), ['1 from 1 to 2']);
  });

  test('leaves a difference that no move could make smaller', () => {
    assert.deepEqual(moves(1, 0), []);
    assert.deepEqual(moves(5, 4), []);
    assert.deepEqual(moves(7), []);
    assert.deepEqual(moves(), []);
  });

  test('leaves a tenth of the average, which comes and goes by itself', () => {
    assert.deepEqual(moves(1_040, 960), []);
    assert.deepEqual(moves(1_060, 940), ['60 from 1 to 2']);
    assert.deepEqual(moves(34, 30), ['2 from 1 to 2'], 'a tenth of 32 is less than 4');
  });

  test('gives each worker its share at once, whoever has too much', () => {
    assert.deepEqual(moves(64, 0, 0, 0), ['16 from 1 to 2', '16 from 1 to 3', '16 from 1 to 4']);
    assert.deepEqual(moves(10, 10, 1), ['3 from 1 to 3', '3 from 2 to 3']);
  });
});

describe('balance', () => {
  test('hands on once the heartbeats of both workers show a difference', () => {
    const cluster = serving();
    assert.deepEqual(handOns(report(cluster, 1, 64)), [], 'of the other nothing is known');
    assert.deepEqual(handOns(report(cluster, 2, 0)), ['32 from 1 to 2']);
  });

  test('asks for a heartbeat where the one it has is of another time', () => {
    const cluster = serving();
    report(cluster, 1, 0);
    cluster.run(500);
    assert.deepEqual(report(cluster, 2, 64), [{ type: 'ask-heartbeat', key: 1 }]);
    assert.deepEqual(handOns(report(cluster, 1, 63)), [], 'no difference worth a move');
    cluster.run(100);
    assert.deepEqual(handOns(report(cluster, 1, 0)), ['32 from 2 to 1']);
  });

  test('does nothing more before both have reported what came of it', () => {
    const cluster = serving();
    report(cluster, 1, 64);
    report(cluster, 2, 0);
    cluster.run(settleTime - 1);
    assert.deepEqual(report(cluster, 1, 40), []);
    cluster.run(50);
    assert.deepEqual(report(cluster, 1, 40), [], 'the other may have taken more since it reported');
    assert.deepEqual(handOns(report(cluster, 2, 24)), ['8 from 1 to 2']);
  });

  test('leaves out who has been silent for long', () => {
    const cluster = serving(3);
    report(cluster, 3, 0);
    cluster.run(3_000);
    report(cluster, 1, 10);
    assert.deepEqual(handOns(report(cluster, 2, 0)), ['5 from 1 to 2']);
  });

  test('leaves out who is slow or sick, from the heartbeat on that tells it', () => {
    const cluster = serving(3);
    report(cluster, 1, 10);
    cluster.post({ type: 'heartbeat', key: 3, heartbeat: simHeartbeat({ kept: 0, eventLoopDelayMs: 900 }) });
    assert.deepEqual(handOns(report(cluster, 2, 0)), ['5 from 1 to 2']);
  });

  test('hands nothing on during a reload, nor while stopping, nor where it is switched off', () => {
    const reloading = serving();
    reloading.reload();
    const stopping = serving().stop();
    for (const cluster of [reloading, stopping, serving(2, false)]) {
      report(cluster, 1, 64);
      assert.deepEqual(handOns(report(cluster, 2, 0)), []);
    }
  });

  test('gives a worker that was added its share', () => {
    const cluster = serving();
    cluster.ask({ type: 'scale', by: 'alice', change: { to: 3 } });
    cluster.run(1_000);
    report(cluster, 1, 30);
    report(cluster, 2, 30);
    assert.deepEqual(handOns(report(cluster, 3, 0)), ['10 from 1 to 3', '10 from 2 to 3']);
  });

  test('forgets workers that are gone', () => {
    const cluster = serving();
    report(cluster, 1, 64);
    report(cluster, 2, 0);
    cluster.post({ type: 'exited', key: 2, code: null, signal: 'SIGKILL' });
    cluster.run(1_000);
    report(cluster, 1, 64);
    assert.deepEqual(handOns(report(cluster, 3, 0)), ['32 from 1 to 3']);
    assert.deepEqual(
      cluster.state.moved.map(({ key }) => key),
      [1, 3],
    );
  });
});
