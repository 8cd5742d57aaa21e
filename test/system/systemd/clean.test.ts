import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanMachine, needsTree, suites } from './machine.js';
import { service } from './service.js';

for (const suite of suites) {
  test(
    `on a clean ${suite} the shipped unit starts, with a home that can be written`,
    needsTree(),
    async (t) => {
      const machine = await cleanMachine(suite);
      const own = await service(machine, t, { name: 'clean', app: 'home.cjs' });
      assert.notEqual((await machine.run(['getent', 'passwd', 'rom-agent-clean'])).code, 0);
      await own.start();
      assert.equal((await own.get('/')).text, '/var/lib/rom-agent');
      assert.equal((await own.systemctl('reload')).code, 0);
      assert.equal((await own.systemctl('stop')).code, 0);
      assert.deepEqual(await own.show('Result', 'NRestarts'), { Result: 'success', NRestarts: '0' });
    },
  );

  test(
    `on a clean ${suite} an exported Fastify app starts under the shipped unit`,
    needsTree(),
    async (t) => {
      const machine = await cleanMachine(suite);
      // On all addresses, which it wants to name in its log.
      const own = await service(machine, t, {
        name: 'clean-fastify',
        app: 'fastify.cjs',
        env: { HOST: '' },
        // Nothing tells the master where its home would be.
        settings: ['UnsetEnvironment=HOME'],
      });
      await own.start();
      assert.equal((await own.get('/')).text, 'fastify');
    },
  );
}
