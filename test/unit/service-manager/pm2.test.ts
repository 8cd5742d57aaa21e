import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { killedTooSoon } from '../../../src/service-manager/pm2.js';

describe('under PM2', () => {
  test('a drain that is longer than PM2 waits is a reason to warn, with what to set', () => {
    assert.match(
      killedTooSoon({}, { drainTimeout: 30_000, lameDuck: 0 }) ?? '',
      /kills this process 1600ms after a stop, .* 30s \(drain_timeout\): start it with --kill-timeout 35000/,
    );
    assert.match(
      killedTooSoon({ kill_timeout: '30000' }, { drainTimeout: 30_000, lameDuck: 0 }) ?? '',
      /30s after a stop/,
    );
    assert.match(
      killedTooSoon({ PM2_KILL_TIMEOUT: '3000' }, { drainTimeout: 30_000, lameDuck: 0 }) ?? '',
      /3s after a stop/,
    );
  });

  test('PM2 that waits longer than the drain is no reason', () => {
    assert.match(
      killedTooSoon({ kill_timeout: '31000' }, { drainTimeout: 30_000, lameDuck: 5_000 }) ?? '',
      /35s \(lame_duck and drain_timeout\).*--kill-timeout 40000/,
    );
    assert.equal(killedTooSoon({ kill_timeout: '35000' }, { drainTimeout: 30_000, lameDuck: 0 }), null);
    assert.equal(killedTooSoon({ kill_timeout: 'x' }, { drainTimeout: 1000, lameDuck: 0 }), null);
  });
});
