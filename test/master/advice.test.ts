import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from '../../src/config/config.js';
import { adviceFor } from '../../src/master/advice.js';

const withDispatch = (dispatch: Config['dispatch']) => ({ dispatch }) as Config;

function unreadable(path: string): never {
  throw Object.assign(new Error(`${path} does not exist`), { code: 'ENOENT' });
}

test('adviceFor warns of reuseport where the kernel does not migrate waiting connections', () => {
  const [advice, ...more] = adviceFor(withDispatch('reuseport'), (path) => {
    assert.equal(path, '/proc/sys/net/ipv4/tcp_migrate_req');
    return '0\n';
  });
  assert.match(advice ?? '', /net\.ipv4\.tcp_migrate_req is 0: set it to 1/);
  assert.deepEqual(more, []);
});

test('adviceFor has nothing to say where it migrates them, where it cannot be told, or for other dispatches', () => {
  assert.deepEqual(
    adviceFor(withDispatch('reuseport'), () => '1\n'),
    [],
  );
  assert.deepEqual(adviceFor(withDispatch('reuseport'), unreadable), []);
  assert.deepEqual(
    adviceFor(withDispatch('shared'), () => '0\n'),
    [],
  );
  assert.deepEqual(
    adviceFor(withDispatch('round-robin'), () => '0\n'),
    [],
  );
});
