import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INFO_BYTES, type Info, renderInfo } from '../../../src/http/info.js';
import { sampleInfo } from './serving.js';

test('the largest values have as many bytes as the smallest', () => {
  const small = { ...sampleInfo, pid: 1, uptime: 0, memory: { rss: 1, heapUsed: 1 } };
  const large: Info = {
    ...sampleInfo,
    version: '10.20.30-rc.40',
    pid: 4_194_304,
    worker: 65_535,
    uptime: 9_999_999_999,
    node: 'v100.100.100',
    cpus: 65_535,
    memory: { rss: 99_999_999, heapUsed: 99_999_999 },
  };
  for (const info of [small, large]) {
    assert.equal(Buffer.byteLength(renderInfo(info)), INFO_BYTES);
    assert.deepEqual(JSON.parse(renderInfo(info)), info);
  }
});

test('the length is counted in bytes, and the padding stands before the newline', () => {
  const body = renderInfo({ ...sampleInfo, name: 'größer' });
  assert.equal(Buffer.byteLength(body), INFO_BYTES);
  assert.match(body, /\} +\n$/);
});

test('names beyond the fixed length make a multiple of it', () => {
  assert.equal(renderInfo({ ...sampleInfo, name: 'n'.repeat(INFO_BYTES) }).length, 2 * INFO_BYTES);
});
