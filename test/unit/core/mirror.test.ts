import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { random } from '../../../src/core/backoff.js';
import {
  counted,
  emptyTally,
  evidence,
  finalFault,
  heapFault,
  inDoubt,
  type MirrorTally,
  mirrorFault,
} from '../../../src/core/mirror.js';
import type { MirrorOutcome } from '../../../src/protocol/mirror.js';
import { anyAnswer, anyPair } from '../../support/mirror.js';

const limits = { maxErrors: 0.05, maxLatency: 4, mirrorDifferences: 1 };
const requests = 200;
const well = { outcome: 'answered', ...anyAnswer, waitedMs: 0 } as const;

/** As the stage has it: on in doubt, for five times as many at most. */
function judged(pairs: (nth: number) => { readonly old: number; readonly canary: MirrorOutcome }): {
  readonly fault: string | null;
  readonly asked: number;
} {
  let tally: MirrorTally = emptyTally;
  for (let nth = 1; ; nth++) {
    const { old, canary } = pairs(nth);
    tally = counted(tally, { ...anyPair, old: { ...anyAnswer, status: old }, canary }, limits);
    const fault = mirrorFault(tally, limits);
    if (fault !== null) return { fault, asked: nth };
    const asksOn = tally.pairs < requests || (tally.pairs < 5 * requests && inDoubt(tally, limits));
    if (!asksOn) return { fault: finalFault(tally, limits), asked: nth };
  }
}

/** Shares of reloads that are rolled back, by what share of the answers fails by chance, and of the canary's besides. */
function rolledBack(share: { readonly both: number; readonly canary: number }, runs: number) {
  let seed = 7;
  const chance = (of: number): boolean => {
    const [value, next] = random(seed);
    seed = next;
    return value < of;
  };
  let faults = 0;
  let asked = 0;
  for (let run = 0; run < runs; run++) {
    const result = judged(() => ({
      old: chance(share.both) ? 500 : 200,
      canary: { ...well, status: chance(share.both) || chance(share.canary) ? 500 : 200 },
    }));
    faults += Number(result.fault !== null);
    asked += result.asked;
  }
  return { faults, asked: Math.round(asked / runs) };
}

describe('a mirrored canary', () => {
  test('that is like the old workers is rolled back in less than one of 200 reloads, however many answers fail', (t) => {
    for (const both of [0, 0.01, 0.05, 0.2, 0.5, 0.9]) {
      const { faults } = rolledBack({ both, canary: 0 }, 2_000);
      t.diagnostic(`${both * 100} % fail by chance: ${faults} of 2000 rolled back`);
      assert.ok(faults < 10, `${faults} of 2000, ${both}`);
    }
  });

  test('that fails one request in five is rolled back, also where answers fail by chance', (t) => {
    // The seed is the same each time, and so are the counts.
    for (const [both, least] of [
      [0, 500],
      [0.01, 500],
      [0.05, 490],
      [0.1, 450],
    ] as const) {
      const { faults, asked } = rolledBack({ both, canary: 0.2 }, 500);
      t.diagnostic(`${both * 100} % fail by chance: ${faults} of 500 rolled back, after ${asked} requests`);
      assert.ok(faults >= least, `${faults}`);
    }
  });

  test('that fails every request is known by twelve of them', () => {
    const { fault, asked } = judged(() => ({ old: 200, canary: { ...well, status: 500 } }));
    assert.equal(asked, 12);
    assert.equal(
      fault,
      'the canary failed 12 mirrored requests of 12 that an old worker answered, the reverse 0; the first was GET /a: status 500 instead of 200',
    );
  });

  test('that does not answer, hangs or denies what the old workers answer is rolled back; one that mends is not', () => {
    for (const outcome of ['failed', 'hung'] as const)
      assert.match(judged(() => ({ old: 200, canary: { outcome } })).fault ?? '', /^the canary failed 12 /);
    assert.match(
      judged(() => ({ old: 200, canary: { ...well, status: 404 } })).fault ?? '',
      /^the canary answered 12 mirrored requests of 12 with a status of 400 to 499/,
    );
    assert.equal(judged(() => ({ old: 500, canary: well })).fault, null);
    assert.equal(judged(() => ({ old: 404, canary: well })).fault, null);
    assert.equal(judged(() => ({ old: 304, canary: well })).fault, null);
  });

  test('is not to blame for what its app refuses, nor for a machine that is too slow to answer at all', () => {
    let tally = emptyTally;
    for (let nth = 0; nth < 50; nth++) {
      tally = counted(tally, { ...anyPair, canary: { ...well, outcome: 'refused', status: 500 } }, limits);
      tally = counted(tally, { ...anyPair, canary: { outcome: 'late' } }, limits);
    }
    assert.equal(mirrorFault(tally, limits), null);
    assert.deepEqual([tally.pairs, tally.refused, tally.late], [0, 50, 50]);
  });

  test('that answers nothing in time, from the first request on, is rolled back', () => {
    let tally = emptyTally;
    for (let nth = 0; nth < 10; nth++)
      tally = counted(tally, { ...anyPair, canary: { outcome: 'late' } }, limits);
    assert.equal(mirrorFault(tally, limits), 'the canary answered none of 10 mirrored requests in time');
  });

  test('is slow only where most answers take ten times as long and a second, without the wait for a CPU', () => {
    const slow = { ...well, tookMs: 1_500 };
    assert.match(
      judged(() => ({ old: 200, canary: slow })).fault ?? '',
      /^30 of the canary's 30 mirrored answers took/,
    );
    assert.equal(judged(() => ({ old: 200, canary: { ...slow, waitedMs: 600 } })).fault, null);
    assert.equal(judged(() => ({ old: 200, canary: { ...slow, waitedMs: null } })).fault, null);
    assert.equal(judged(() => ({ old: 200, canary: { ...slow, tookMs: 900 } })).fault, null);
    assert.equal(judged((nth) => ({ old: 200, canary: nth % 2 === 0 ? slow : well })).fault, null);
  });

  test('may have other types and lengths, as many as the operator bears', () => {
    let tally = emptyTally;
    for (let nth = 0; nth < 30; nth++)
      tally = counted(
        tally,
        { ...anyPair, canary: { ...well, type: nth < 20 ? 'text/plain' : well.type, length: 500 } },
        limits,
      );
    assert.deepEqual([tally.types, tally.lengths, tally.changed], [20, 30, 30]);
    assert.equal(mirrorFault(tally, limits), null);
    assert.equal(
      mirrorFault(tally, { ...limits, mirrorDifferences: 0.5 }),
      "30 of the canary's 30 mirrored answers had another content type or length",
    );
  });

  test('has too large a heap only beyond half of its limit, and four times that of the others', () => {
    const mib = 2 ** 20;
    assert.equal(heapFault({ used: 400 * mib, limit: 1_000 * mib, old: 20 * mib }), null);
    assert.equal(heapFault({ used: 600 * mib, limit: 1_000 * mib, old: 200 * mib }), null);
    assert.equal(heapFault({ used: 600 * mib, limit: 1_000 * mib, old: 0 }), null);
    assert.match(heapFault({ used: 600 * mib, limit: 1_000 * mib, old: 20 * mib }) ?? '', /grew to 600 MiB/);
  });

  test('makes evidence that nothing is lost by: of two alike it stays the same in the mean', () => {
    for (const [worse, better] of [
      [0, 0],
      [3, 1],
      [7, 9],
    ] as const) {
      const mean = (evidence(worse + 1, better) + evidence(worse, better + 1)) / 2;
      assert.ok(Math.abs(mean / evidence(worse, better) - 1) < 1e-9);
    }
  });
});
