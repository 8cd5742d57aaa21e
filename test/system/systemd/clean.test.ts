import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSandboxed, servesWhole } from './hardening/deeds.js';
import { cleanMachine, inside, type Machine, needsTree, suites } from './machine.js';
import { service } from './service.js';
import { socketText, unitText } from './shipped-unit.js';

for (const suite of suites) {
  test(
    `on a clean ${suite} the shipped unit serves an app with an addon, and gives a profile and a heap snapshot of it`,
    needsTree(),
    async (t) => {
      const machine = await cleanMachine(suite);
      const own = await service(machine, t, { name: 'clean', app: 'hardened.cjs' });
      assert.notEqual((await machine.run(['getent', 'passwd', 'rom-agent-clean'])).code, 0);
      await own.start();
      await isSandboxed(own);
      await servesWhole(machine, own, '/var/lib/rom-agent');
      assert.equal((await own.systemctl('reload')).code, 0);
      assert.equal((await own.systemctl('stop')).code, 0);
      assert.deepEqual(await own.show('Result', 'NRestarts'), { Result: 'success', NRestarts: '0' });
      assert.deepEqual(await own.warnings(), []);
    },
  );

  test(
    `on a clean ${suite} an exported Fastify app starts under the template unit`,
    needsTree(),
    async (t) => {
      const machine = await cleanMachine(suite);
      // On all addresses, which it wants to name in its log.
      const own = await service(machine, t, {
        name: 'fastify',
        isNamed: true,
        app: 'fastify.cjs',
        env: { HOST: '' },
        // Nothing tells the master where its home would be.
        settings: ['UnsetEnvironment=HOME'],
      });
      await own.start();
      assert.equal((await own.get('/')).text, 'fastify');
    },
  );

  test(
    `systemd of a clean ${suite} has nothing to say about the units, and calls their exposure 1.1 at most`,
    needsTree(),
    async (t) => {
      const machine = await cleanMachine(suite);
      const files = await shippedFiles(machine);
      t.after(() => machine.must(['rm', '-rf', folder]).then(() => {}));
      const { code, stdout, stderr } = await machine.run(['systemd-analyze', 'verify', ...files]);
      assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' });
      for (const unit of ['rom-agent.service', 'rom-agent@shop.service']) {
        const argv = ['systemd-analyze', 'security', '--offline=yes', '--no-pager', `${folder}/${unit}`];
        const [, exposure] =
          /Overall exposure level for .*: ([\d.]+)/.exec((await machine.run(argv)).stdout) ?? [];
        assert.ok(Number(exposure) <= 1.1, `${unit}: ${exposure}`);
      }
    },
  );
}

const folder = '/run/shipped';

async function shippedFiles(machine: Machine): Promise<string[]> {
  const paths = { node: inside.node, libdir: inside.repo };
  const named = unitText({ ...paths, unit: 'rom-agent@.service' });
  const units = {
    'rom-agent.service': unitText(paths),
    'rom-agent.socket': socketText(),
    'rom-agent@.service': named,
    'rom-agent@shop.service': named,
    'rom-agent@.socket': socketText('rom-agent@.socket'),
  };
  for (const [name, text] of Object.entries(units)) await machine.writeFile(`${folder}/${name}`, text);
  return Object.keys(units).map((name) => `${folder}/${name}`);
}
