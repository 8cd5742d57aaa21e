import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, freePort } from '../../support/net.js';
import { cleanMachine, inside, needsTree } from '../systemd/machine.js';
import { must } from './packages.js';

test('the tarball installs a service with its own Node, and uninstalls it', needsTree(), async () => {
  const file = (
    await must(['env', 'GZIP_LEVEL=1', `NODE=${process.execPath}`, 'sh', 'packaging/tarball/build.sh', 'x64'])
  ).trim();
  const machine = await cleanMachine('bookworm');
  const port = await freePort();
  await machine.must(['mkdir', '-p', '/opt/unpacked']);
  await machine.must(['tar', 'xzf', join(inside.repo, file), '-C', '/opt/unpacked', '--strip-components=1']);
  const before = await machine.must(['find', '/usr', '/etc', '/var/lib', '-name', '*rom-agent*']);
  await machine.must(['/opt/unpacked/install.sh']);
  await machine.writeFile('/etc/rom-agent/shop.toml', `port = ${port}\nhost = "127.0.0.1"\nworkers = 1\n`);
  await machine.must(['systemctl', 'start', 'rom-agent@shop']);
  assert.equal((await ask({ port, path: '/api/info' })).status, 200);
  const exe = await machine.must([
    'readlink',
    `/proc/${await machine.mainPid('rom-agent@shop.service')}/exe`,
  ]);
  assert.match(exe, /^\/usr\/local\/lib\/rom-agent\/versions\/[^/]+\/node$/m);
  await machine.must(['/opt/unpacked/install.sh', 'uninstall']);
  await assert.rejects(ask({ port, path: '/' }));
  await machine.must([
    'rm',
    '-rf',
    '/etc/rom-agent',
    '/var/lib/rom-agent@shop',
    '/var/lib/private/rom-agent@shop',
  ]);
  assert.equal(await machine.must(['find', '/usr', '/etc', '/var/lib', '-name', '*rom-agent*']), before);
});
