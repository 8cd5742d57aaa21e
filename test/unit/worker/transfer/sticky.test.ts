import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rendezvous } from '../../../../src/worker/transfer/sticky.js';
import {
  cookieField,
  cookieValue,
  newestOf,
  workerOf,
} from '../../../../src/worker/transfer/sticky-cookie.js';

const addresses = Array.from({ length: 2_000 }, (_, nth) => `10.0.${nth >> 8}.${nth & 255}`);

function slotsOf(slots: readonly number[]): number[] {
  return addresses.map((address) => rendezvous(address, slots, (slot) => slot) ?? 0);
}

describe('rendezvous', () => {
  test('spreads addresses evenly, neighbours too', () => {
    const slots = slotsOf([1, 2, 3, 4]);
    for (const slot of [1, 2, 3, 4]) {
      const share = slots.filter((chosen) => chosen === slot).length / slots.length;
      assert.ok(share > 0.22 && share < 0.28, `slot ${slot} has ${share}`);
    }
  });

  test('moves to a slot that is added what it gets, and nothing else', () => {
    const before = slotsOf([1, 2, 3]);
    const after = slotsOf([3, 1, 2, 4]);
    const moved = after.filter((slot, nth) => slot !== before[nth]);
    assert.ok(moved.every((slot) => slot === 4));
    assert.ok(moved.length > 400 && moved.length < 600, `${moved.length} of 2000`);
  });

  test('has nobody to choose where nobody is', () => {
    assert.equal(
      rendezvous('a', [], () => 0),
      undefined,
    );
  });
});

describe('the cookie', () => {
  const ready = [
    { key: 4, slot: 1 },
    { key: 9, slot: 2 },
    { key: 7, slot: 2 },
  ];
  const keyOf = (field: string) => workerOf(field, { cookie: 'w', ready })?.key;

  test('means its worker, and the newest of its slot once that is gone', () => {
    assert.equal(cookieValue({ key: 4, slot: 1 }), '1.4');
    assert.equal(keyOf('w=1.4'), 4);
    assert.equal(keyOf('a=b; w=2.7; c=d'), 7);
    assert.equal(keyOf('w=2.3'), 9);
    assert.equal(newestOf(ready, 3), undefined);
  });

  test('means nobody where it is wrong, of another name, or of a slot that is gone', () => {
    for (const field of [
      '',
      'w',
      'w=',
      'w=1',
      'w=1.',
      'w=x.y',
      'w=-1.4',
      'ww=1.4',
      'w=3.4000',
      'w=1.4e9',
      '=;;=',
    ])
      assert.equal(keyOf(field), undefined, field);
  });

  test('is found in a head, however the field is written', () => {
    const head =
      'GET /cookie: w=5.5 HTTP/1.1\r\nHost: a\r\ncOOkie:w=1.4; x=y \r\nCookie: z=1\r\n\r\nCookie: w=9.9';
    assert.equal(cookieField(head), 'w=1.4; x=y; z=1');
    assert.equal(cookieField('GET / HTTP/1.1\r\nHost: a\r\n'), '');
  });
});
