import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measurements } from '../../../src/costs/fit.js';

const rows = [0, 1, 2, 3, 4, 5].map((at) => [at, at * at, 7]);

test('slopes are found whatever the level of a series is', () => {
  const data = measurements([
    { y: rows.map(([a = 0, b = 0]) => 100 + 3 * a + 0.5 * b), x: rows },
    { y: rows.map(([a = 0, b = 0]) => 4_000 + 3 * a + 0.5 * b), x: rows },
  ]);
  const [first, second] = data.slopes([0, 1]);
  assert.ok(Math.abs((first?.slope ?? 0) - 3) < 1e-6 && Math.abs((second?.slope ?? 0) - 0.5) < 1e-6);
  assert.ok((data.rest([0, 1]) ?? 1) < 1e-6);
});

test('a column that never changes explains nothing, nor does one with a slope below 0', () => {
  const data = measurements([{ y: rows.map(([a = 0]) => -a), x: rows }]);
  assert.equal(data.rest([2]), null);
  assert.equal(data.rest([0]), null);
  assert.notEqual(data.rest([]), null);
});

test('an outlier counts less once it is known as one', () => {
  const y = rows.map(([a = 0]) => 2 * a);
  y[3] = 100;
  const data = measurements([{ y, x: rows }]);
  const [naive] = data.slopes([0]);
  for (let round = 0; round < 20; round += 1) data.reweigh([0]);
  const [robust] = data.slopes([0]);
  assert.ok(
    Math.abs((robust?.slope ?? 0) - 2) < Math.abs((naive?.slope ?? 0) - 2) / 4,
    JSON.stringify([naive, robust]),
  );
});
