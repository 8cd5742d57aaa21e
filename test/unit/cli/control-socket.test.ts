import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findControlSocket } from '../../../src/cli/session.js';
import { loadInput } from '../../support/load-input.js';

const etc = '/etc/rom-agent/rom-agent.toml';
const system = '/run/rom-agent/control.sock';
const own = '/run/user/1000/rom-agent/control.sock';

const userDirectories = {
  runtime: '/run/user/1000/rom-agent',
  runtimeFrom: 'XDG_RUNTIME_DIR',
  state: '/home/alice/.local/state/rom-agent',
  stateFrom: 'home of the user',
  config: etc,
};

async function find(
  input: Parameters<typeof loadInput>[0],
  {
    uid = 1000,
    there = [],
    service = null,
  }: { uid?: number; there?: readonly string[]; service?: string | Error | null } = {},
): Promise<{ path: string; warnings: readonly string[] }> {
  const warnings: string[] = [];
  const path = await findControlSocket({
    input: loadInput({ directories: userDirectories, ...input }),
    uid,
    isThere: (candidate) => there.includes(candidate),
    service: async () => {
      if (service instanceof Error) throw service;
      return service;
    },
    warn: (sentence) => warnings.push(sentence),
  });
  return { path, warnings };
}

describe('the control socket of a command', () => {
  test('is the one that the flag names, before the environment and the file', async () => {
    const files = { [etc]: 'control_socket = "/run/file.sock"\n' };
    const env = { ROM_AGENT_CONTROL_SOCKET: '/run/env.sock' };
    const paths = [
      await find({ flags: { controlSocket: 'x.sock' }, env, files }),
      await find({ env, files }),
      await find({ files }),
    ];
    assert.deepEqual(
      paths.map(({ path }) => path),
      ['/srv/cwd/x.sock', '/run/env.sock', '/run/file.sock'],
    );
  });

  test('is read from a configuration that has other errors, with a warning', async () => {
    const files = { [etc]: 'control_socket = "/run/file.sock"\nport = "x"\n' };
    const { path, warnings } = await find({ files });
    assert.equal(path, '/run/file.sock');
    assert.deepEqual(warnings, ['the configuration has errors; rom-agent check prints them']);
  });

  test('is the default where the configuration cannot be read at all', async () => {
    const { path, warnings } = await find({ files: { [etc]: 'port = = 1\n' } });
    assert.deepEqual([path, warnings.length], [own, 1]);
  });

  test('of a checkout is its own, also where it is not there but the service is, which is told', async () => {
    const directories = {
      ...userDirectories,
      runtime: '/run/user/1000/rom-agent-1a2b3c4d',
      runtimeFrom: 'the checkout /home/alice/rom-agent',
    };
    for (const uid of [0, 1000]) {
      const { path, warnings } = await find({ directories }, { uid, there: [system] });
      assert.equal(path, '/run/user/1000/rom-agent-1a2b3c4d/control.sock');
      assert.deepEqual(warnings, [
        `not asking the service of this machine, whose control socket is ${system}`,
      ]);
    }
  });

  test('is that of the one service of this host, whatever the plain configuration says', async () => {
    const shop = '/run/rom-agent@shop/control.sock';
    const files = { [etc]: 'control_socket = "/run/file.sock"\n' };
    const paths = [
      await find({}, { service: shop }),
      await find({ files }, { service: shop }),
      await find({}, { service: shop, uid: 0 }),
    ];
    assert.deepEqual(
      paths.map(({ path }) => path),
      [shop, shop, shop],
    );
  });

  test("is the user's own daemon before a service", async () => {
    const { path } = await find({}, { there: [own], service: '/run/rom-agent@shop/control.sock' });
    assert.equal(path, own);
  });

  test("is nobody's where there are several services, unless one is named", async () => {
    const several = new Error('several services');
    await assert.rejects(find({}, { service: several }), several);
    await assert.rejects(find({}, { service: several, uid: 0, there: [system] }), several);
    const { path } = await find({ flags: { controlSocket: '/run/x.sock' } }, { service: several });
    assert.equal(path, '/run/x.sock');
  });

  test("is nobody's where root runs a daemon by hand beside a service", async () => {
    const directories = { ...userDirectories, runtime: '/run/rom-agent', runtimeFrom: 'user root' };
    const given = { uid: 0, there: [system], service: '/run/rom-agent@shop/control.sock' };
    await assert.rejects(find({ directories }, given), { exitCode: 64, message: /two daemons run/ });
  });

  test('is that of the service which asks for it, as ExecReload= does', async () => {
    const env = { RUNTIME_DIRECTORY: '/run/rom-agent@api' };
    const directories = {
      ...userDirectories,
      runtime: '/run/rom-agent@api',
      runtimeFrom: 'RUNTIME_DIRECTORY',
    };
    const { path } = await find({ env, directories }, { service: new Error('several services') });
    assert.equal(path, '/run/rom-agent@api/control.sock');
  });

  test('must be a path where it is named', async () => {
    await assert.rejects(find({ files: { [etc]: 'control_socket = 7\n' } }), {
      exitCode: 78,
      message: /^control_socket: 7 .*expected the path of a unix socket/,
    });
  });

  test("is the user's own, else that of the system where there is one", async () => {
    const { path: both } = await find({}, { there: [own, system] });
    const { path: one } = await find({}, { there: [system] });
    const { path: none } = await find({});
    assert.deepEqual([both, one, none], [own, system, own]);
  });

  test('is on macOS that of the service, which is no account of a person, for root and for others', async () => {
    const launchd = '/var/db/rom-agent/run/control.sock';
    const byHand = { ...userDirectories, runtime: '/var/run/rom-agent', runtimeFrom: 'user root' };
    const others = { ...userDirectories, runtime: '/tmp/rom-agent-501', runtimeFrom: 'neither' };
    const at = async (directories: typeof byHand, uid: number, there: readonly string[]) =>
      (await find({ platform: 'darwin', directories }, { uid, there })).path;
    assert.equal(await at(byHand, 0, [launchd]), launchd);
    assert.equal(await at(others, 501, [launchd]), launchd);
    assert.equal(await at(byHand, 0, []), '/var/run/rom-agent/control.sock');
    assert.equal(
      await at(byHand, 0, [launchd, '/var/run/rom-agent/control.sock']),
      '/var/run/rom-agent/control.sock',
    );
    assert.equal(
      await at(others, 501, ['/var/run/rom-agent/control.sock']),
      '/var/run/rom-agent/control.sock',
    );
  });

  test('that was named is never replaced by that of the system', async () => {
    const env = { ROM_AGENT_CONTROL_SOCKET: '/run/env.sock' };
    assert.equal((await find({ env }, { there: [system] })).path, '/run/env.sock');
  });
});
