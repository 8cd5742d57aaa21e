import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnswerReader } from './clients/answer-reader.js';
import { cell, withFigures } from './document.js';
import { busiestShare, parseLatency } from './generators.js';
import { Rounds } from './rounds.js';

const figure = { name: 'requests/s', unit: '', digits: 0 };
const own = { node: 24, app: 'koa', peer: 'rom-agent' };

function rounds(values: Readonly<Record<string, readonly number[]>>): Rounds {
  const all = new Rounds();
  for (const [peer, own] of Object.entries(values))
    for (const value of own) all.add(figure, { node: 24, app: 'koa', peer }, value);
  return all;
}

test('a ratio is the median of the ratios of the rounds, not the ratio of the medians', () => {
  const measured = rounds({ 'rom-agent': [10, 20, 90], PM2: [10, 40, 30] });
  assert.deepEqual(measured.ratio(figure, own, 'PM2'), { median: 1, min: 0.5, max: 3 });
});

test('a round in which one of the two is missing has no ratio', () => {
  const measured = rounds({ 'rom-agent': [10, 20, 30], PM2: [10, Number.NaN] });
  assert.deepEqual(measured.ratio(figure, own, 'PM2'), { median: 1, min: 1, max: 1 });
  assert.equal(measured.ratio(figure, own, 'Watt'), null);
});

test('the rounds come back from their file, values that are none included', () => {
  const measured = rounds({ 'rom-agent': [1.23456789, Number.NaN] });
  const table = JSON.parse(JSON.stringify(measured.toTable())) as ReturnType<Rounds['toTable']>;
  assert.deepEqual(table, { 'requests/s': { '24 koa rom-agent': [1.2346, null] } });
  assert.deepEqual(Rounds.from(table).spread(figure, own), { median: 1.2346, min: 1.2346, max: 1.2346 });
});

test('a cell has the median and half of the range in percent of it', () => {
  assert.equal(cell(rounds({ 'rom-agent': [9_000, 10_000, 11_000] }), figure, own), '10,000 ±10 %');
  assert.equal(cell(rounds({ 'rom-agent': [0, 0, 3] }), figure, own), '0');
  assert.equal(cell(rounds({}), figure, own), '');
});

test('only what stands between its marks is replaced on the page', () => {
  const page = 'a\n<!-- make bench: begin -->\nold\n<!-- make bench: end -->\nb\n';
  const replaced = withFigures(page, 'new');
  assert.equal(replaced, 'a\n<!-- make bench: begin -->\nnew\n<!-- make bench: end -->\nb\n');
  assert.equal(withFigures(replaced, 'new'), replaced);
  assert.throws(() => withFigures('a page', 'new'), /the page has no <!-- make bench: begin -->/);
});

test("wrk's latency is read in microseconds and told in milliseconds", () => {
  const output = '  5307 requests in 1.02s, 3.58MB read\nlatency: 1892 4000 12500\n';
  assert.deepEqual(parseLatency(output), { p50: 1.892, p99: 4, p999: 12.5 });
  assert.throws(() => parseLatency('nothing'), /wrk printed no latency:\nnothing/);
});

test('the busiest worker has its share of all answers', () => {
  assert.equal(busiestShare({ byWorker: { 11: 30, 12: 10 } }), 0.75);
  assert.ok(Number.isNaN(busiestShare({ byWorker: {} })));
});

test('an answer is whole with the last byte of its body, however it is cut', () => {
  const text = 'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"worker":"12-3"}';
  for (let cut = 1; cut < text.length; cut += 1) {
    const reader = new AnswerReader();
    assert.equal(reader.add(Buffer.from(text.slice(0, cut))), null);
    assert.deepEqual(reader.add(Buffer.from(text.slice(cut))), { ok: true, worker: '12-3' });
  }
});

test('an answer with another status is not ok', () => {
  const text = 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n';
  assert.deepEqual(new AnswerReader().add(Buffer.from(text)), { ok: false, worker: null });
});
