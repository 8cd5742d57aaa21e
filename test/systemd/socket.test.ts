import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, freePort } from '../support/net.js';
import { needsMachine, sharedMachine } from './machine.js';
import { service } from './service.js';

test('sockets that systemd passes in are served and never unlinked', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'passed' });
  const port = await freePort();
  const path = '/run/rom-agent-passed.sock';
  await machine.unit(
    'rom-agent-passed.socket',
    [
      '[Socket]',
      `ListenStream=127.0.0.1:${port}`,
      `ListenStream=${path}`,
      'FileDescriptorName=web',
      'SocketMode=0666',
      '',
    ].join('\n'),
  );
  t.after(() => machine.removeUnit('rom-agent-passed.socket'));
  await machine.must(['systemctl', 'start', 'rom-agent-passed.socket']);
  assert.equal((await ask({ port, path: '/api/info', timeout: 20_000 })).status, 200);
  await own.becomes('ActiveState', 'active');
  const viaPath = await machine.must(['curl', '-s', '--unix-socket', path, 'http://localhost/healthz']);
  assert.match(viaPath, /"ok"/);
  await machine.must(['systemctl', 'stop', own.unit]);
  assert.equal((await machine.run(['test', '-S', path])).code, 0);
});
