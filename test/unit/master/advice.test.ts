import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AdviceInput, adviceFor } from '../../../src/master/listen-sockets.js';

const usual = { kind: 'server', app: '/srv/shop/server.js', lameDuck: 0, routesPrefix: null } as const;

function unreadable(path: string): never {
  throw Object.assign(new Error(`${path} does not exist`), { code: 'ENOENT' });
}

test('adviceFor warns of reuseport where the kernel does not migrate waiting connections', () => {
  const readFile = (path: string) => {
    assert.equal(path, '/proc/sys/net/ipv4/tcp_migrate_req');
    return '0\n';
  };
  const [advice, ...more] = adviceFor({ ...usual, dispatch: 'reuseport', passed: false, readFile });
  assert.match(advice ?? '', /net\.ipv4\.tcp_migrate_req is 0: set it to 1/);
  assert.deepEqual(more, []);
});

test('adviceFor warns of a dispatch that does nothing on passed sockets', () => {
  for (const dispatch of ['round-robin', 'reuseport'] as const) {
    const [advice, ...more] = adviceFor({ ...usual, dispatch, passed: true, readFile: () => '0\n' });
    assert.match(advice ?? '', new RegExp(`dispatch "${dispatch}" has no effect on sockets`));
    assert.deepEqual(more, []);
  }
});

test('adviceFor has nothing to say where it migrates them, where it cannot be told, or for other dispatches', () => {
  const quiet = [
    { dispatch: 'reuseport', passed: false, readFile: () => '1\n' },
    { dispatch: 'reuseport', passed: false, readFile: unreadable },
    { dispatch: 'shared', passed: false, readFile: () => '0\n' },
    { dispatch: 'shared', passed: true, readFile: () => '0\n' },
    { dispatch: 'round-robin', passed: false, readFile: () => '0\n' },
  ] as const;
  for (const input of quiet) assert.deepEqual(adviceFor({ ...usual, ...input }), []);
});

test('adviceFor warns of a lame duck of which no load balancer learns, since the app answers /readyz', () => {
  const lame: AdviceInput = {
    ...{ ...usual, lameDuck: 5_000, dispatch: 'shared', passed: false },
    readFile: unreadable,
  };
  const [advice, ...more] = adviceFor(lame);
  assert.match(advice ?? '', /lame_duck has no effect .* set routes_prefix/);
  assert.deepEqual(more, []);
  for (const heard of [{ app: null }, { routesPrefix: '/_ops' }, { kind: 'process' }] as const)
    assert.deepEqual(adviceFor({ ...lame, ...heard }), []);
});
