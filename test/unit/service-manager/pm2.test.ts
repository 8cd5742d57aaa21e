import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { killedTooSoon } from '../../../src/service-manager/pm2.js';

describe('under PM2', () => {
  test('a drain that is longer than PM2 waits is a reason to warn, with what to set', () => {
    assert.match(
      killedTooSoon({}, 30_000) ?? '',
      /kills this process 1600ms after a stop, .* 30s \(drain_timeout\): start it with --kill-timeout 35000/,
    );
    assert.match(killedTooSoon({ kill_timeout: '30000' }, 30_000) ?? '', /30s after a stop/);
    assert.match(killedTooSoon({ PM2_KILL_TIMEOUT: '3000' }, 30_000) ?? '', /3s after a stop/);
  });

  test('PM2 that waits longer than the drain is no reason', () => {
    assert.equal(killedTooSoon({ kill_timeout: '35000' }, 30_000), null);
    assert.equal(killedTooSoon({ kill_timeout: 'x' }, 1000), null);
  });
});
