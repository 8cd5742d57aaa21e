import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { banner } from '../../../src/logging/banner.js';

const options = { name: 'ROM Agent', version: '0.1.0', pid: 42, colour: false } as const;

describe('the banner', () => {
  it('says how many workers serve where', () => {
    const text = banner({ ...options, mode: 'cluster', workers: 4, urls: ['http://localhost:3000'] });
    assert.match(text, /^ {2}ROM Agent 0\.1\.0 {2}4 workers serve \(cluster, master 42\)$/m);
    assert.match(text, /^ {2}➜ http:\/\/localhost:3000$/m);
    assert.ok(text.trim().split('\n').length <= 5);
  });

  it('speaks of one worker in the singular', () =>
    assert.match(
      banner({ ...options, mode: 'single', workers: 1, urls: ['unix:/run/a.sock'] }),
      /1 worker serves /,
    ));

  it('says that workers run where they are no servers', () => {
    const text = banner({ ...options, mode: 'cluster', workers: 1, urls: [] });
    assert.match(text, /1 worker runs \(cluster, master 42\)\n {2}Ctrl/);
  });

  it('has colours only where they are wanted', () => {
    const plain = banner({ ...options, mode: 'turbo', workers: 2, urls: ['a', 'b'] });
    const coloured = banner({ ...options, mode: 'turbo', workers: 2, urls: ['a', 'b'], colour: true });
    assert.ok(!plain.includes('\x1b'));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
    assert.equal(coloured.replace(/\x1b\[\d+m/g, ''), plain);
    assert.notEqual(coloured, plain);
  });
});
