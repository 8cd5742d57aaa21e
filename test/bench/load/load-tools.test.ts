import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAb, parseWrk, pinning } from './load-tools.js';
import { nanoseconds, pssOf } from './proc-figures.js';
import { summarise } from './samples.js';

test("ab's failed requests and its answers other than 2xx both count as failed", () => {
  const output = [
    'Complete requests:      10000',
    'Failed requests:        7',
    '   (Connect: 0, Receive: 0, Length: 7, Exceptions: 0)',
    'Non-2xx responses:      2',
    'Requests per second:    9158.82 [#/sec] (mean)',
  ].join('\n');
  assert.deepEqual(parseAb(output), { requests: 10_000, failed: 9, requestsPerSecond: 9158.82 });
});

test("wrk's socket errors and its answers other than 2xx and 3xx count as failed", () => {
  const output = [
    '  26001 requests in 1.01s, 7.12MB read',
    '  Socket errors: connect 1, read 2, write 3, timeout 4',
    '  Non-2xx or 3xx responses: 5',
    'Requests/sec:  25673.79',
  ].join('\n');
  assert.deepEqual(parseWrk(output), { requests: 26_001, failed: 15, requestsPerSecond: 25_673.79 });
});

test('wrk says nothing of errors where there were none', () => {
  const output = '  5307 requests in 1.02s, 3.58MB read\nRequests/sec:   5183.82\n';
  assert.equal(parseWrk(output).failed, 0);
});

test('output without the figures is an error that shows it', () => {
  assert.throws(() => parseAb('apr_socket_recv: Connection refused'), /Complete requests[\s\S]*refused/);
});

test('a load generator runs where it likes, or on the CPU that is named', () => {
  assert.deepEqual(pinning({}), []);
  assert.deepEqual(pinning({ BENCH_CPU: '0' }), ['taskset', '-c', '0']);
  assert.throws(() => pinning({ BENCH_CPU: 'first' }), /BENCH_CPU: "first"; expected a CPU from 0/);
  assert.throws(() => pinning({ BENCH_CPU: '99999' }), /99999/);
});

test('the time on a CPU is the first figure of three', () => {
  assert.equal(nanoseconds('2604536962 1269552407 6387\n'), 2_604_536_962);
});

test('PSS is not taken for one of its parts', () => {
  assert.equal(pssOf('Rss:  1744 kB\nPss:   204 kB\nPss_Dirty:  108 kB\nPss_Anon:  108 kB\n'), 204);
});

test('the median of an even number of values is the mean of the middle two', () => {
  assert.deepEqual(summarise([4, 1, 2, 9]), { median: 3, min: 1, max: 9 });
  assert.deepEqual(summarise([9, 1, 2]), { median: 2, min: 1, max: 9 });
});
