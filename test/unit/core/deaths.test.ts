import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Death, type Play, SimCluster } from '../../simulation/sim-cluster.js';

/** From each death of slot 1 to the fork of its next worker, ms. */
function delays(cluster: SimCluster): number[] {
  return cluster
    .effects('log')
    .flatMap(({ level, fields }) =>
      level === 'error' && typeof fields?.restartInMs === 'number' ? [fields.restartInMs] : [],
    );
}

/** Slot 1 does as it is told worker by worker, the last time for ever; the other slots do well. */
function slotOne(...plays: readonly Play[]) {
  return ({ slot, nth }: { slot: number | null; nth: number }): Play =>
    slot === 1 ? (plays[Math.min(nth, plays.length) - 1] ?? {}) : {};
}

const crash = (after: number, death: Partial<Death> = {}): Play => ({ crash: { after, ...death } });
const failure = { message: 'cannot reach the database', exitCode: 70, stack: 'Error: …' };

describe('a crash', () => {
  test('is followed by a new worker in the same slot at once', () => {
    const cluster = new SimCluster({ play: slotOne(crash(5_000, { signal: 'SIGSEGV' }), {}) })
      .start()
      .run(10_000);
    const [, , again] = cluster.effects('fork');
    assert.deepEqual(again, {
      type: 'fork',
      key: 3,
      role: { kind: 'slot', slot: 1 },
      generation: 1,
      at: 5_100,
    });
    assert.deepEqual(cluster.logged('error'), ['worker 1 crashed: ended by SIGSEGV']);
    assert.equal(cluster.state.life.phase, 'serving');
    assert.deepEqual(
      cluster.state.slots.map(({ id, restarts }) => [id, restarts]),
      [
        [1, 1],
        [2, 0],
      ],
    );
  });

  test('leads to longer and longer delays when it repeats, each within its bounds', () => {
    for (let seed = 0; seed < 20; seed++) {
      const policy = { restart: { intensity: 100 } };
      const cluster = new SimCluster({ seed, policy, play: slotOne(crash(200)) }).start().run(6_000);
      const [first, ...later] = delays(cluster);
      assert.equal(first, 0);
      assert.ok(later.length >= 6);
      for (const [index, delay] of later.entries()) {
        const longest = Math.min(1_000, 100 * 2 ** index);
        assert.ok(delay >= longest / 2 && delay <= longest, `${index}: ${delay} of ${longest}`);
      }
    }
  });

  test('of two slots at the same moment does not bring both back at the same moment', () => {
    const cluster = new SimCluster({ play: ({ nth }) => (nth <= 2 ? crash(1_000) : {}) }).start().run(10_000);
    const later = delays(cluster).slice(2);
    assert.equal(later.length, 2);
    assert.notEqual(later[0], later[1]);
  });

  test('counts as a first one again after a worker that ran for longer than the window', () => {
    const cluster = new SimCluster({ play: slotOne(crash(100), crash(100), crash(60_000), {}) });
    cluster.start().run(100_000);
    const [first, second, third] = delays(cluster);
    assert.equal(first, 0);
    assert.ok(second !== undefined && second > 0);
    assert.equal(third, 0);
    assert.equal(cluster.state.slots[0]?.crashes, 1);
  });

  test('is not forgotten by a worker that ran a little shorter than the window', () => {
    const cluster = new SimCluster({ play: slotOne(crash(100), crash(59_000), {}) }).start().run(100_000);
    assert.ok((delays(cluster)[1] ?? 0) > 0);
  });

  test('is told with what is known: PID, cause, uptime, requests in flight, stack', () => {
    const cluster = new SimCluster({ play: slotOne({ ...crash(5_000, { failure }), inFlight: 3 }, {}) });
    cluster.start().run(6_000);
    const entry = cluster.effects('log').find(({ level }) => level === 'error');
    assert.equal(entry?.message, 'worker 1 crashed: cannot reach the database');
    assert.deepEqual(entry?.fields, {
      workerPid: 1001,
      uptimeSeconds: 5,
      inFlight: 3,
      restartInMs: 0,
      stack: failure.stack,
    });
  });

  test('by an end of its own, status 0 too, is a crash all the same', () => {
    const cluster = new SimCluster({ play: slotOne(crash(5_000, { code: 0 }), {}) }).start().run(6_000);
    assert.deepEqual(cluster.logged('error'), ['worker 1 crashed: ended by itself with code 0']);
    assert.equal(cluster.state.restarts, 1);
  });

  test('by an abort names the heap limit', () => {
    const cluster = new SimCluster({ play: slotOne(crash(5_000, { signal: 'SIGABRT' }), {}) })
      .start()
      .run(6_000);
    assert.match(cluster.logged('error').join(), /worker 1 crashed: aborted: .*max_old_space_size/);
  });

  test('tells systemd what is left at once', () => {
    const cluster = new SimCluster({ play: slotOne(crash(5_000), { boot: 3_000 }) }).start().run(5_200);
    const last = cluster.effects('notify').at(-1);
    assert.deepEqual(
      [last?.status, last?.at],
      ['1 of 2 workers ready, generation 1, 0 req/s, 1 restart', 5_100],
    );
  });
});

describe('a death before listening, later than the first start', () => {
  const dies = (after: number, death: Partial<Death> = {}): Play => ({
    bootFailure: { after, failure, ...death },
  });

  test('does not end the service: the other workers go on and the slot is tried again', () => {
    const cluster = new SimCluster({ play: slotOne(crash(5_000), dies(100), dies(100), {}) })
      .start()
      .run(20_000);
    assert.equal(cluster.exitCode, null);
    assert.deepEqual(cluster.logged('error').slice(1), [
      'worker 1 died before it listened: cannot reach the database',
      'worker 1 died before it listened: cannot reach the database',
    ]);
    assert.equal(cluster.state.life.phase, 'serving');
    assert.equal(cluster.state.workers.length, 2);
  });

  test('has a backoff of its own, which begins with a delay and doubles', () => {
    const policy = { restart: { intensity: 100 } };
    const cluster = new SimCluster({ policy, play: slotOne(crash(1_000), dies(100)) }).start().run(60_000);
    const [afterCrash, ...boots] = delays(cluster);
    assert.equal(afterCrash, 0);
    assert.ok(boots.length >= 6);
    for (const [index, delay] of boots.entries()) {
      const longest = Math.min(8_000, 500 * 2 ** index);
      assert.ok(delay >= longest / 2 && delay <= longest, `${index}: ${delay} of ${longest}`);
    }
  });

  test('is forgotten once a worker of the slot listens; the crashes are not', () => {
    const cluster = new SimCluster({ play: slotOne(crash(1_000), dies(100), dies(100), {}) })
      .start()
      .run(20_000);
    assert.deepEqual(
      cluster.state.slots.map(({ crashes, bootFailures }) => [crashes, bootFailures]),
      [
        [1, 0],
        [0, 0],
      ],
    );
  });

  test('is what a worker that never listens comes to: it is killed at its limit', () => {
    const cluster = new SimCluster({ play: slotOne(crash(1_000), { boot: null }, {}) }).start().run(30_000);
    assert.deepEqual(
      cluster.effects('kill').map(({ key, at }) => [key, at]),
      [[3, 11_100]],
    );
    assert.equal(
      cluster.logged('error').at(-1),
      'worker 1 died before it listened: did not listen within 10 s',
    );
  });

  test('is what a fork that fails comes to', () => {
    const forkFails = { message: 'cannot start a worker process: spawn EAGAIN', exitCode: 71, errno: 11 };
    const cluster = new SimCluster({ play: slotOne(crash(1_000), { forkFails }, {}) }).start().run(20_000);
    assert.equal(cluster.exitCode, null);
    assert.equal(cluster.logged('error').at(-1), `worker 1 died before it listened: ${forkFails.message}`);
    const [, delay] = delays(cluster);
    assert.ok(delay !== undefined && delay >= 250 && delay <= 500);
    assert.equal(cluster.state.workers.length, 2);
  });
});

describe('too many deaths', () => {
  const intense = { restart: { intensity: 3, window: 60_000 } };

  test('end the master: what serves is drained first, then the exit status says try again', () => {
    const cluster = new SimCluster({
      policy: intense,
      play: ({ slot }) => (slot === 1 ? crash(200) : { drain: 4_000 }),
    });
    cluster.start().runToEnd();
    assert.equal(cluster.exitCode, 76);
    const [stopping] = cluster.effects('notify').filter(({ stopping }) => stopping === true);
    const why = 'too many restarts: 4 within 60 s; the last: ended by itself with code 1';
    assert.equal(stopping?.status, why);
    assert.equal(cluster.logged('error').at(-1), why);
    assert.deepEqual(
      cluster.effects('drain').map(({ key }) => key),
      [2],
    );
    assert.equal(cluster.effects('exit')[0]?.at, (stopping?.at ?? 0) + 4_005);
    assert.equal(cluster.state.restarts, 3);
  });

  test('keep the reason as the last STATUS while the others drain', () => {
    const cluster = new SimCluster({
      policy: intense,
      play: ({ slot }) => (slot === 1 ? crash(200) : { drain: 15_000 }),
    });
    cluster.start().runToEnd();
    const statuses = cluster
      .effects('notify')
      .flatMap(({ status }) => (status === undefined ? [] : [status]));
    assert.match(statuses.at(-1) ?? '', /^too many restarts: 4 within 60 s/);
  });

  test('do not add up over a longer time than the window', () => {
    const cluster = new SimCluster({ policy: intense, play: slotOne(crash(21_000)) }).start().run(600_000);
    assert.equal(cluster.exitCode, null);
    assert.ok(cluster.state.restarts > 20);
    assert.ok(cluster.state.deaths.length <= 3);
  });

  test('of all slots together count, and both kinds of them', () => {
    const cluster = new SimCluster({
      policy: intense,
      play: ({ slot, nth }) => {
        if (nth === 1) return crash(1_000 + (slot ?? 0));
        return { bootFailure: { after: 100, failure } };
      },
    });
    cluster.start().runToEnd();
    assert.equal(cluster.exitCode, 76);
    assert.match(cluster.logged('error').at(-1) ?? '', /the last: cannot reach the database$/);
  });

  test('cancel the restarts that were due', () => {
    const cluster = new SimCluster({
      policy: { workers: 3, restart: { intensity: 1 } },
      play: slotOne(crash(100)),
    });
    cluster.start().runToEnd();
    const stopAt = cluster.effects('notify').find(({ stopping }) => stopping === true)?.at ?? 0;
    cluster.run(60_000);
    assert.ok(cluster.effects('fork').every(({ at }) => at <= stopAt));
  });
});

describe('a failure that every worker would meet until the service is restarted', () => {
  const lasting = { message: 'the files were replaced', exitCode: 75, lasting: true };

  test('is no reason to end those that serve, however often it comes', () => {
    const policy = { restart: { intensity: 2, bootDelayMax: 1_000 } };
    const plays = slotOne(crash(1_000), { forkFails: lasting });
    const cluster = new SimCluster({ policy, play: plays }).start().run(60_000);
    assert.equal(cluster.state.life.phase, 'serving');
    assert.ok(cluster.logged('error').filter((entry) => entry.includes(lasting.message)).length > 10);
    const { lasting: _, ...passing } = lasting;
    const others = slotOne(crash(1_000), { bootFailure: { after: 10, code: 75, failure: passing } });
    const ended = new SimCluster({ policy, play: others }).start().run(60_000);
    assert.notEqual(ended.state.life.phase, 'serving', 'while another failure is');
  });

  test('ends the service at once where nobody serves any more: the next master is of the files', () => {
    const policy = { workers: 1, restart: { intensity: 100 } };
    const plays = slotOne(crash(1_000), { bootFailure: { after: 10, code: 75, failure: lasting } });
    const cluster = new SimCluster({ policy, play: plays }).start().run(20_000);
    assert.deepEqual(
      cluster.effects('exit').map(({ code }) => code),
      [76],
    );
    assert.equal(cluster.logged('error').filter((entry) => entry === lasting.message).length, 1);
  });
});
