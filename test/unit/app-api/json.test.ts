import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { msOf } from '../../../src/app-api/duration.js';
import { asJson } from '../../../src/app-api/json.js';

describe('what an app keeps and sends', () => {
  const cycle: { self?: object } = {};
  cycle.self = cycle;
  for (const [value, message] of [
    [
      { at: new Date(0) },
      'data.at: a Date is not JSON: expected a text or a number: date.toISOString(), date.getTime()',
    ],
    [
      { pages: [Buffer.from('x')] },
      "data.pages[0]: a Buffer is not JSON: expected a text: buffer.toString('base64')",
    ],
    [
      { 'a b': new Map() },
      'data["a b"]: a Map is not JSON: expected a plain object, an array, a text, a number, true, false or null',
    ],
    [[1, undefined], 'data[1]: undefined is not JSON: expected a JSON value'],
    [{ big: 1n }, 'data.big: a bigint is not JSON: expected a JSON value'],
    [{ call: () => {} }, 'data.call: a function is not JSON: expected a JSON value'],
    [{ n: Number.NaN }, 'data.n: NaN is not JSON: expected a finite number, or null'],
    [cycle, 'data.self: a reference to what it is in is not JSON: expected a value without cycles'],
    [undefined, 'data: undefined is not JSON: expected a JSON value'],
  ] as const) {
    test(`is refused where JSON would change it: ${message}`, () => {
      assert.throws(() => asJson(value, 'data'), { code: 'input', message });
    });
  }

  test('is copied, without fields that are undefined', () => {
    const value = { a: [1, 'x', null, true], b: undefined, c: Object.create(null) as object };
    assert.deepEqual(asJson(value, 'data'), { a: [1, 'x', null, true], c: {} });
  });
});

describe('a length of time', () => {
  test('is ms, or a number with a unit', () => {
    assert.deepEqual(
      [250, '500ms', '1.5s', '5m', '2h', '1d'].map((each) => msOf(each, 'ttl')),
      [250, 500, 1_500, 300_000, 7_200_000, 86_400_000],
    );
  });

  test('is refused with its name where it is none', () => {
    assert.throws(() => msOf('soon', 'options.delay'), {
      message:
        "options.delay: \"soon\" is not right: expected ms as a number, or a text such as '500ms', '30s', '5m', '2h' or '1d'",
    });
    assert.throws(() => msOf(-1, 'options.delay'), { code: 'input' });
  });
});
