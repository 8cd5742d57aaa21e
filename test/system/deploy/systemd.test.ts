import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Journal } from '../../../src/deploy/decide.js';
import { ask } from '../../support/net.js';
import { fixtures } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { inside, needsMachine, sharedMachine } from '../systemd/machine.js';
import { service } from '../systemd/service.js';

const state = '/var/lib/rom-agent';

test(
  'under the shipped unit deploys need nothing but its StateDirectory, and a kill of all of it brings back what served',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    await machine.receive(join(fixtures, 'releases'), '/srv/deploy-source');
    await machine.must(['cp', '/srv/deploy-source/good.mjs', '/srv/deploy-source/app.mjs']);
    const rom = [inside.node, `${inside.repo}/dist/cli/main.js`];
    const own = await service(machine, t, {
      name: 'deploys',
      env: {
        ROM_AGENT_APP: `${state}/deploy/current/app.mjs`,
        ROM_AGENT_RELOAD_SOAK: '3s',
        ROM_AGENT_DEPLOY_SOURCE: '/srv/deploy-source',
        ROM_AGENT_DEPLOY_MIN_FREE: '1',
        ROM_AGENT_DEPLOY_MIN_FREE_INODES: '1',
        ROM_AGENT_DEPLOY_BUILD: "node -e 'fs.writeFileSync(`built`, String(process.getuid()))'",
      },
      settings: [`ExecStartPre=${rom.join(' ')} deploy --init`],
    });
    await own.start();
    const serves = async () => (await ask({ port: own.port, path: '/' })).json as { release: string };
    const directory = join(machine.root, state, 'deploy');
    const current = () => readlinkSync(join(directory, 'current')).replace('releases/', '');
    const first = (await serves()).release;
    assert.equal(first, current());
    assert.notEqual(readFileSync(join(directory, 'current/built'), 'utf8'), '0');

    const deploy = [...rom, 'deploy', '--control-socket', '/run/rom-agent/control.sock'];
    const plan = await machine.run([...deploy, '--dry-run']);
    assert.equal(plan.code, 0, plan.stdout + plan.stderr);
    const done = await machine.run(deploy, { timeout: 300_000 });
    assert.equal(done.code, 0, done.stdout + done.stderr);
    const second = (await serves()).release;
    assert.notEqual(second, first);
    assert.equal(second, current());

    const cut = machine.run(deploy, { timeout: 300_000 });
    const stage = () => {
      try {
        return (JSON.parse(readFileSync(join(directory, 'deploy.json'), 'utf8')) as Journal).stage;
      } catch {
        return null;
      }
    };
    await waitFor('the reload of the deploy', stage, { interval: 5, until: (found) => found === 'reload' });
    await machine.systemctl('kill', '--signal=KILL', '--kill-whom=all', own.unit);
    assert.notEqual((await cut).code, 0);
    const again = await waitFor('the service again', () => serves().catch(() => null), {
      timeout: 180_000,
      until: (answer) => answer !== null,
    });
    assert.deepEqual([again?.release, current(), stage()], [second, second, null]);
    await own.logged(/was interrupted at the stage reload: interrupted; .* is current/);
    const user = await machine.run(['env', 'ROM_AGENT_DEPLOY_USER=daemon', ...rom, 'check', '--json']);
    assert.equal(user.code, 0, user.stderr);
  },
);
