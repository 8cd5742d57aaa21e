import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nextDeadline } from '../../../src/core/step.js';
import { lives } from '../../simulation/lives.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { simPolicy } from '../../simulation/sim-policy.js';

describe('nextDeadline', () => {
  const policy = simPolicy();

  test('is none before the start and after the end', () => {
    assert.equal(nextDeadline(lives.idle().state, policy), null);
    assert.equal(nextDeadline(lives.ended().state, policy), null);
  });

  test('is a tick a second where nothing else is due', () => {
    const { state } = lives.serving();
    assert.equal(nextDeadline(state, policy), state.tickedAt + 1_000);
  });

  test('is the ping, the limit of a boot, a restart or the end of the drain where that comes first', () => {
    const { state } = lives.serving();
    const pinged = { ...state, timers: { ...state.timers, pingAt: 700 } };
    assert.equal(nextDeadline(pinged, { ...policy, pingInterval: 1_000 }), 700);
    assert.equal(nextDeadline(pinged, policy), 1_000);
    const waiting = { ...state, slots: state.slots.map((slot) => ({ ...slot, forkAt: 600 })) };
    assert.equal(nextDeadline(waiting, policy), 600);
    const booting = new SimCluster({ policy: { bootTimeout: 800 }, play: () => ({ boot: null }) }).start();
    assert.equal(nextDeadline(booting.state, booting.policy), 800);
    assert.equal(nextDeadline({ ...state, life: stoppingUntil(950) }, policy), 950);
  });

  test('is the next question to a canary, then the end of its soak, and after that the limit of its probe', () => {
    const cluster = new SimCluster({ policy: { reload: { soak: 300 } }, play: () => ({ probe: null }) });
    cluster.start().run(500).reload();
    const deadlines = [100, 250, 50].map((duration) => nextDeadline(cluster.run(duration).state, policy));
    assert.deepEqual(deadlines, [850, 900, 1_900]);
    // The tick of every second comes first from then on, but never after the limit, a second beyond the probe's own.
    cluster.run(1_690);
    assert.equal(nextDeadline(cluster.state, policy), 2_600);
  });

  test('is when a silent worker is looked at, and then when it is killed', () => {
    const cluster = new SimCluster({
      policy: { hangTimeout: 1_600, heartbeatInterval: 400 },
      play: () => ({ hang: 1 }),
    });
    cluster.start().run(500);
    // Silent since it was ready at 100 ms, and looked at for a quarter of the limit.
    assert.equal(nextDeadline(cluster.state, cluster.policy), 1_000);
    cluster.run(500);
    assert.equal(nextDeadline(cluster.state, cluster.policy), 1_300);
    cluster.run(300);
    assert.equal(nextDeadline(cluster.state, cluster.policy), 1_700);
  });

  test('is when proofs are asked for, and then the ping', () => {
    const cluster = new SimCluster({ policy: { pingInterval: 1_200 } }).start().run(500);
    assert.equal(nextDeadline(cluster.state, cluster.policy), 800);
    cluster.run(300);
    assert.equal(nextDeadline(cluster.state, cluster.policy), 1_200);
  });

  test('is the next try of a spare, until that is past and waits for something else', () => {
    const { state } = new SimCluster({
      policy: { spares: 1 },
      play: ({ slot }) => ({ boot: slot === null ? null : 100 }),
    })
      .start()
      .run(500);
    const missing = {
      ...state,
      workers: state.workers.slice(0, 2),
      spares: { ...state.spares, forkAt: 700 },
    };
    assert.equal(nextDeadline(missing, policy), 700);
    assert.equal(nextDeadline({ ...missing, tickedAt: 700 }, policy), 1_700);
  });

  test('is when a request is let in again', () => {
    const { state } = lives.serving();
    const suspect = { method: 'GET', route: '/', deaths: [1], told: 1, blockedUntil: 650 };
    assert.equal(nextDeadline({ ...state, suspects: [suspect] }, policy), 650);
  });

  test('is the limit of a worker that drains while the service goes on', () => {
    const cluster = new SimCluster({ policy: { drainTimeout: 600 }, play: () => ({ hang: 1 }) })
      .start()
      .run(500);
    cluster.ask({ type: 'scale', by: 'alice', change: { to: 1 } });
    cluster.run(1_550);
    assert.equal(nextDeadline(cluster.state, cluster.policy), 2_100);
  });

  test('is never passed without the tick moving it: no tick leads to another at the same time', () => {
    for (const make of Object.values(lives)) {
      const cluster = make();
      for (let ticks = 0; ticks < 200; ticks++) {
        const deadline = nextDeadline(cluster.state, cluster.policy);
        if (deadline === null) break;
        cluster.now = Math.max(cluster.now, deadline);
        cluster.post({ type: 'tick' });
        const next = nextDeadline(cluster.state, cluster.policy);
        assert.ok(next === null || next > cluster.now, `${next} is due again at ${cluster.now}`);
      }
    }
  });
});

function stoppingUntil(deadline: number) {
  const how = { why: 'SIGTERM', since: 0, exitCode: 0, released: false, killedAt: null };
  return { phase: 'stopping', deadline, ...how } as const;
}
