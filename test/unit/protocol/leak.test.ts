import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Leak } from '../../../src/protocol/leak.js';
import { leakInWords } from '../../../src/protocol/leak.js';

const mebibyte = 2 ** 20;
const leak: Leak = {
  kind: 'GET /reports/:id',
  bytesPerRequest: 3.1 * mebibyte,
  lowBytes: 2.8 * mebibyte,
  highBytes: 3.4 * mebibyte,
  share: 0.92,
};

test('a leak reads as a sentence, in the unit of its size', () => {
  assert.equal(
    leakInWords(leak),
    'GET /reports/:id keeps 3.1 MiB per request (2.8 to 3.4): 92 % of the growth of the heaps',
  );
  assert.equal(
    leakInWords({ ...leak, isOutside: true }),
    'GET /reports/:id keeps 3.1 MiB outside of the heap per request (2.8 to 3.4): 92 % of the growth outside of the heaps',
  );
  assert.equal(
    leakInWords({ ...leak, bytesPerRequest: 2_048, lowBytes: 1_024, highBytes: 3_072 }),
    'GET /reports/:id keeps 2 KiB per request (1 to 3): 92 % of the growth of the heaps',
  );
});
