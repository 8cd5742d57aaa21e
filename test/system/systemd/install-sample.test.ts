import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, freePort } from '../../support/net.js';
import { inside, needsMachine, sharedMachine } from './machine.js';

// The rest of it is `make test-install`.
test(
  'an app is made a service of the template, listed by its name, and removed',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const rom = (...args: string[]) =>
      machine.must([inside.node, `${inside.repo}/dist/cli/main.js`, ...args]);
    const port = await freePort();
    await machine.writeFile(
      '/srv/sample/server.js',
      'require("node:http").createServer((_, response) => response.end("sample")).listen(process.env.PORT);\n',
    );
    t.after(() => machine.run(['rm', '-rf', '/srv/sample']));
    const file = '/srv/sample/server.js';
    await rom('install', file, '--name', 'sample', '--port', String(port), '--workers', '1', '--yes');
    assert.equal((await ask({ port, path: '/' })).text, 'sample');
    assert.match(await rom('list'), new RegExp(`^sample +serving +${port} +1/1 `, 'm'));
    await rom('uninstall', 'sample', '--purge', '--yes');
    const left = await machine.run([
      'sh',
      '-c',
      'ls -d /etc/systemd/system/rom-agent@sample* /etc/rom-agent/sample* /var/lib/rom-agent@sample*',
    ]);
    assert.equal(left.stdout, '');
  },
);
