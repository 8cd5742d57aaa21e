import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  QueueWait,
  type ShedLimits,
  ShedPolicy,
  type Verdict,
} from '../../../../src/worker/shed/shed-policy.js';

/** One worker with a clock of its own, whose app takes `each` ms of the event loop for a request. */
class Loop {
  now = 0;
  #waited = 0;
  readonly #policy: ShedPolicy;
  readonly #each: number;

  constructor(limits: Partial<ShedLimits>, each: number) {
    this.#policy = new ShedPolicy({ eventLoopDelay: 0, inFlight: 0, ...limits });
    this.#each = each;
  }

  get worked(): number {
    return this.now - this.#waited;
  }

  /** Nothing to do. */
  idle(ms: number): void {
    this.now += ms;
    this.#waited += ms;
  }

  /** One turn with so many requests that can be read; those that are shed take 0.05 ms. */
  turn(requests: number, { stall = 0, inFlight = 1, queued = 0 } = {}): Verdict[] {
    this.now += stall;
    const verdicts = Array.from({ length: requests }, () => {
      const verdict = this.#policy.judge({ now: this.now, worked: this.worked, inFlight, queued });
      this.now += verdict === 'serve' ? this.#each : 0.05;
      return verdict;
    });
    this.#policy.turned(this.worked);
    return verdicts;
  }
}

function count(verdicts: readonly Verdict[], verdict: Verdict): number {
  return verdicts.filter((each) => each === verdict).length;
}

/**
 * Requests at a steady rate, per second, for so many seconds: after the first one, the longest that one that is served has
 * waited, and how many are served per second.
 */
const warm = 1_000;
function load(loop: Loop, { rate, seconds }: { rate: number; seconds: number }) {
  let [came, longest, served] = [0, 0, 0];
  while (loop.now < seconds * 1000) {
    const due = Math.floor((loop.now * rate) / 1000);
    if (due === came) {
      loop.idle(((came + 1) * 1000) / rate - loop.now);
      continue;
    }
    const arrivals = Array.from({ length: due - came }, (_, nth) => ((came + nth + 1) * 1000) / rate);
    const begun = loop.now;
    const verdicts = loop.turn(arrivals.length);
    let at = begun;
    for (const [nth, verdict] of verdicts.entries()) {
      const waited = at - (arrivals[nth] ?? 0);
      if (verdict === 'serve' && begun > warm) {
        longest = Math.max(longest, waited);
        served++;
      }
      at += verdict === 'serve' ? 5 : 0.05;
    }
    came = due;
  }
  return { longest, perSecond: served / (seconds - warm / 1000) };
}

describe('a worker that is asked for more than it can do', () => {
  for (const times of [1.2, 3, 20]) {
    test(`${times} times as much: serves nearly all that it can, and nobody waits for much longer than the limit`, () => {
      const { longest, perSecond } = load(new Loop({ eventLoopDelay: 20 }, 5), {
        rate: 200 * times,
        seconds: 20,
      });
      // Two steps of 5 ms are left out of what counts, and the request's own turn comes on top.
      assert.ok(longest <= 20 + 3 * 5, `${longest} ms`);
      assert.ok(perSecond > 150, `${perSecond} a second of 200`);
    });
  }

  test('without a limit lets them wait for as long as it takes', () => {
    const { longest } = load(new Loop({}, 5), { rate: 600, seconds: 4 });
    assert.ok(longest > 1_000, `${longest} ms`);
  });
});

describe('nothing is shed', () => {
  test('at a load that the worker can bear', () => {
    const loop = new Loop({ eventLoopDelay: 20 }, 5);
    for (let turn = 0; turn < 2_000; turn++) {
      assert.equal(count(loop.turn(1 + (turn % 3)), 'late'), 0);
      loop.idle(4);
    }
  });

  test('of what waited for one long step, a stall or a collection of garbage', () => {
    const loop = new Loop({ eventLoopDelay: 20 }, 1);
    loop.turn(1);
    assert.equal(count(loop.turn(10, { stall: 500 }), 'late'), 0);
    assert.equal(count(loop.turn(15), 'late'), 0);
  });

  test('where each request takes longer than the limit, and they come one by one', () => {
    const loop = new Loop({ eventLoopDelay: 20 }, 300);
    for (let turn = 0; turn < 50; turn++) assert.deepEqual(loop.turn(1), ['serve']);
    assert.deepEqual(loop.turn(2), ['serve', 'serve']);
  });
});

test('of a burst, what would have waited for more than the limit is shed, and then all is served again', () => {
  const loop = new Loop({ eventLoopDelay: 20 }, 5);
  const verdicts = loop.turn(100);
  assert.deepEqual([count(verdicts, 'serve'), verdicts.at(0), verdicts.at(-1)], [6, 'serve', 'late']);
  loop.idle(2_000);
  assert.equal(count(loop.turn(5), 'late'), 0);
});

test('a request too many in flight is shed, whatever the event loop does', () => {
  const loop = new Loop({ inFlight: 2 }, 0);
  assert.deepEqual(loop.turn(1, { inFlight: 2 }), ['serve']);
  assert.deepEqual(loop.turn(1, { inFlight: 3 }), ['full']);
});

test('a wait in the queue of the listening socket counts as one in the event loop', () => {
  const loop = new Loop({ eventLoopDelay: 20 }, 0);
  assert.deepEqual(loop.turn(1, { queued: 20 }), ['serve']);
  assert.deepEqual(loop.turn(1, { queued: 21 }), ['late']);
});

test('one is served within each limit, even where all are late', () => {
  const loop = new Loop({ eventLoopDelay: 20 }, 0);
  const verdicts = Array.from({ length: 100 }, () => {
    loop.idle(2);
    return loop.turn(1, { queued: 500 });
  }).flat();
  assert.equal(count(verdicts, 'serve'), 10);
});

describe('the wait in a queue', () => {
  test('is its length, without one for each worker, times what a connection takes, over all who accept from it', () => {
    const queue = new QueueWait(0, 0);
    assert.equal(queue.look({ worked: 50, waiting: 10, accepted: 10, workers: 2 }), 20);
    assert.equal(queue.look({ worked: 100, waiting: 0, accepted: 20, workers: 2 }), 0);
  });

  test('follows a change of that over a few looks', () => {
    const queue = new QueueWait(0, 0);
    queue.look({ worked: 50, waiting: 0, accepted: 10, workers: 1 });
    let [worked, accepted, wait] = [50, 10, 0];
    for (let look = 0; look < 20; look++) {
      worked += 10;
      accepted += 10;
      wait = queue.look({ worked, waiting: 11, accepted, workers: 1 });
    }
    assert.ok(wait > 10 && wait < 11, `${wait} ms`);
  });
});
