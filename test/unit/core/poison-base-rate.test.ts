import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Deaths, sample, standsOut } from '../../../src/core/poison.js';
import { type Fatality, type Mix, noMix } from '../../../src/core/state.js';
import { simHeartbeat } from '../../simulation/sim-policy.js';

const common = { method: 'GET', route: '/' };
const rare = { method: 'GET', route: '/reports/:id' };

interface Traffic {
  /** Of requests in flight, and of requests that begin, how many in a hundred are common; the others are a hundred kinds. */
  readonly inFlight: number;
  readonly begun: number;
  /** Requests in flight at a time. */
  readonly atOnce: number;
}

/** Ten minutes of it, without chance: the n-th request is common where n mod 100 is below the share. */
function known({ inFlight, begun, atOnce }: Traffic): Mix {
  let mix = noMix;
  let n = 0;
  const next = (share: number) => {
    n += 37;
    return {
      method: 'GET',
      path: n % 100 < share ? '/' : `/other/${String.fromCharCode(97 + (n % 26))}`,
      ageMs: 1,
    };
  };
  for (let now = 1_000; now < 600_000; now += 250) {
    const current = Array.from({ length: atOnce }, () => next(inFlight));
    const some = Array.from({ length: 4 }, () => next(begun));
    mix = sample(mix, simHeartbeat({ current, begun: some }), now);
  }
  return mix;
}

function deaths(count: number, hit = count, inFlight = 3): Deaths {
  return { all: Array.from({ length: count }, (_, at): Fatality => ({ at, inFlight })), hit };
}

describe('a kind of request that was in flight at deaths', () => {
  const usual = known({ inFlight: 90, begun: 90, atOnce: 3 });

  test('is not to blame where it is nine of ten requests in flight, at however many deaths', () => {
    for (const count of [2, 3, 5, 10, 50, 100]) assert.equal(standsOut(usual, common, deaths(count)), false);
  });

  test('is to blame where it is rare and was in flight at all of them', () => {
    assert.equal(standsOut(usual, rare, deaths(2)), true);
    assert.equal(standsOut(usual, rare, deaths(3)), true);
  });

  test('is to blame where it was in flight at far more of them than is usual, and at others not', () => {
    assert.equal(standsOut(usual, rare, deaths(20, 5)), true);
    assert.equal(standsOut(usual, rare, deaths(3, 1, 20)), false);
  });

  test('is not to blame where it is nearly always in flight, though few of it begin', () => {
    const stream = known({ inFlight: 95, begun: 1, atOnce: 1 });
    assert.equal(standsOut(stream, common, deaths(10)), false);
  });

  test('is not to blame where most requests that begin are of it, though it is answered at once', () => {
    const quick = known({ inFlight: 0, begun: 90, atOnce: 1 });
    assert.equal(standsOut(quick, common, deaths(10, 10, 1)), false);
  });

  test('cannot be judged before the traffic is known', () => {
    assert.equal(standsOut(noMix, rare, deaths(3)), null);
  });
});

describe('what is known of the traffic', () => {
  test('is bounded, however many kinds there are', () => {
    let mix = noMix;
    for (let n = 0; n < 6_000; n++) {
      const word = [...String(n)].map((digit) => 'abcdefghij'[Number(digit)]).join('');
      mix = sample(
        mix,
        simHeartbeat({ current: [{ method: 'GET', path: `/${word}`, ageMs: 1 }] }),
        1_000 + n * 250,
      );
    }
    assert.ok(mix.kinds.length <= 200, `${mix.kinds.length} kinds`);
    assert.ok(mix.inFlight <= 4_000, `${mix.inFlight} samples`);
  });

  test('is not asked of every heartbeat', () => {
    const heartbeat = simHeartbeat({ current: [{ method: 'GET', path: '/', ageMs: 1 }] });
    const first = sample(noMix, heartbeat, 1_000);
    assert.equal(sample(first, heartbeat, 1_100), first);
    assert.equal(sample(first, simHeartbeat({}), 2_000), first);
  });
});
