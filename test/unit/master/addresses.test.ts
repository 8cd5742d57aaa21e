import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAddresses } from '../../../src/master/siblings.js';

const main = 'http://localhost:3000';
const metrics = 'http://localhost:9464';
const other = 'http://localhost:45123';

function addresses() {
  const warnings: string[] = [];
  const known = createAddresses((message) => warnings.push(message));
  const hear = (slot: number, urls: string[], { generation = 1, onTarget = urls.includes(main) } = {}) =>
    known.heard(slot + generation * 10, { role: { kind: 'slot', slot }, generation }, { urls, onTarget });
  return { known, warnings, hear };
}

test('a worker that has no address in common with its siblings is told, once', () => {
  const { warnings, hear } = addresses();
  hear(1, [main, metrics]);
  hear(2, [other]);
  hear(2, [other]);
  assert.deepEqual(warnings, [
    'worker 2 listens on other addresses than the other workers: clients of theirs do not reach it',
  ]);
});

test('a new generation may listen elsewhere, and so may anyone besides', () => {
  const { warnings, hear } = addresses();
  hear(1, [main]);
  hear(2, [main, metrics]);
  hear(1, [other], { generation: 2 });
  assert.deepEqual(warnings, []);
});

test('a new worker is held to what all have in common', () => {
  const { known, hear } = addresses();
  assert.equal(known.common(), null);
  hear(1, [main, metrics]);
  hear(2, [main, other]);
  assert.deepEqual(known.common(), { urls: [main], onTarget: true });
  known.gone(11);
  known.gone(12);
  assert.equal(known.common(), null);
});

test('the service is where a worker listens as configured, whoever was last', () => {
  const { known, hear } = addresses();
  hear(1, [main]);
  hear(2, [other]);
  assert.deepEqual(known.urls(), [main]);
});
