import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { joinWords, splitWords } from '../../../src/settings/kinds.js';

describe('words', () => {
  for (const [text, words] of [
    ['', []],
    ['  --port 3  x ', ['--port', '3', 'x']],
    [`'a b' "c d" e\\ f`, ['a b', 'c d', 'e f']],
    [`--title='a "b"' "it\\"s" ''`, ['--title=a "b"', 'it"s', '']],
  ] as const) {
    test(`are taken apart as by a shell: ${text}`, () => assert.deepEqual(splitWords(text), words));
  }

  test('are none where a quote is not closed', () => {
    assert.equal(splitWords("it's"), null);
    assert.equal(splitWords('a "b'), null);
    assert.equal(splitWords('a\\'), null);
  });

  test('are the same after they were put together and taken apart', () => {
    const words = ['--a=b', 'c d', "it's", '"', '\\', '', '$HOME', 'x\ny'];
    assert.deepEqual(splitWords(joinWords(words)), words);
  });
});
