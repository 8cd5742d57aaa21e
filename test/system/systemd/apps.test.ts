import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needsMachine, sharedMachine } from './machine.js';
import { service } from './service.js';

/** Paths and what is answered there, under the unit as it is shipped. */
const apps: Readonly<Record<string, Readonly<Record<string, string | RegExp>>>> = {
  'shop/express.cjs': {
    '/hello.txt': 'static\n',
    '/program': 'program',
    '/thread': 'thread',
    '/database': 'database',
    '/interfaces': 'true',
  },
  'shop/fastify-listens.cjs': { '/': 'fastify' },
  'shop/koa.cjs': { '/': 'koa' },
  'shop/socket-io.cjs': { '/': 'socket.io', '/socket.io/?EIO=4&transport=polling': /^0\{"sid":/ },
};

for (const [app, answers] of Object.entries(apps))
  test(`${app} works under the shipped unit, and reloads`, needsMachine(), async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, { name: 'app', app, env: { HOST: '' } });
    await own.start();
    for (const [path, expected] of Object.entries(answers)) {
      const { text } = await own.get(path);
      if (typeof expected === 'string') assert.equal(text, expected, path);
      else assert.match(text, expected);
    }
    assert.equal((await own.systemctl('reload')).code, 0);
    assert.equal((await own.systemctl('stop')).code, 0);
    assert.deepEqual(await own.show('Result'), { Result: 'success' });
  });

test('an upload is written where systemd lets the service write', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'upload', app: 'shop/express.cjs' });
  await own.start();
  const url = `http://127.0.0.1:${own.port}/upload`;
  const answer = await fetch(url, { method: 'POST', body: 'a picture' });
  assert.equal(await answer.text(), 'a picture');
});
