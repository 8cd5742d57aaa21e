import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cutAnswers } from './answers.js';

const get = { token: 'r0', method: 'GET' };
const head = 'HTTP/1.1 200 OK\r\n';

describe('cutAnswers', () => {
  const cut = (text: string, method = 'GET') =>
    cutAnswers(Buffer.from(text, 'latin1'), [{ ...get, method }, get]);

  test('takes each answer by its length, and the rest for what it is', () => {
    const { answers, rest } = cut(`${head}Content-Length: 2\r\n\r\nab${head}Content-Length: 3\r\n\r\nc`);
    assert.deepEqual(
      answers.map(({ text }) => text.slice(-2)),
      ['ab'],
    );
    assert.equal(rest, `${head}Content-Length: 3\r\n\r\nc`);
  });

  test('says how many bytes the next answer takes', () => {
    const text = `${head}Content-Length: 100\r\n\r\nab`;
    assert.equal(cut(text).lacks, text.length + 98);
  });

  test('reads chunks and their trailers to the end', () => {
    const text = `${head}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-End: yes\r\n\r\n`;
    assert.equal(cut(text).used, text.length);
    assert.equal(cut(text.slice(0, -2)).answers.length, 0);
  });

  test('expects no body of an answer to HEAD', () => {
    const text = `${head}Content-Length: 100\r\n\r\n`;
    assert.equal(cut(text, 'HEAD').answers.length, 1);
  });

  test('tells an answer that is to come from the one that it announces', () => {
    const { answers } = cut(`HTTP/1.1 103 Early Hints\r\n\r\n${head}Content-Length: 0\r\n\r\n`);
    assert.deepEqual(
      answers.map(({ isFinal }) => isFinal),
      [false, true],
    );
  });

  test('leaves out what differs from process to process', () => {
    const [answer] = cut(`${head}X-Where: 12\r\nDate: now\r\nContent-Length: 0\r\n\r\n`).answers;
    assert.equal(answer?.text, `${head}Content-Length: 0\r\n\r\n`);
    assert.equal(answer?.pid, 12);
  });
});
