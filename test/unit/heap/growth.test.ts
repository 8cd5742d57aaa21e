import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { growthOf, Heaps } from '../../../src/heap/growth.js';

const mib = 1024 * 1024;
const seconds = (many: number) => Array.from({ length: many }, (_, index) => index * 1_000);

describe('a heap', () => {
  test('that grows through its collections looks like a leak', () => {
    const at = seconds(60);
    // Up by 4 MiB a second, and back by most of that each fifth: the floor still rises.
    const used = at.map((_, index) => (40 + index * 1.5 + (index % 5) * 4) * mib);
    const growth = growthOf(at, used);
    assert.ok(growth !== null);
    assert.ok(Math.abs(growth.bytesPerSecond / mib - 1.5) < 0.1, String(growth.bytesPerSecond / mib));
  });

  test('that goes up and down does not', () => {
    const at = seconds(120);
    const used = at.map((_, index) => (40 + (index % 30) * 3) * mib);
    assert.equal(growthOf(at, used), null);
  });

  test('that grew and then stays does not, nor one that is watched for a short while only', () => {
    const at = seconds(100);
    assert.equal(
      growthOf(
        at,
        at.map((_, index) => Math.min(40 + index * 2, 120) * mib),
      ),
      null,
    );
    assert.equal(
      growthOf(
        seconds(10),
        seconds(10).map((_, index) => index * 10 * mib),
      ),
      null,
    );
  });

  test('is forgotten with its process, and bounded while that lives', () => {
    const heaps = new Heaps();
    for (let second = 0; second < 5_000; second++) {
      heaps.note(second * 1_000, [
        { id: 1, pid: 11, heapUsedBytes: (40 + Math.max(0, second - 4_000)) * mib },
      ]);
    }
    const [growth] = heaps.growing();
    assert.equal(growth?.pid, 11);
    assert.ok((growth?.overMs ?? 0) <= 720_000, `${growth?.overMs} ms are kept`);
    heaps.note(5_001_000, [{ id: 1, pid: 12, heapUsedBytes: 40 * mib }]);
    assert.deepEqual(heaps.growing(), []);
  });
});
