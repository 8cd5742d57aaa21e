import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { waitFor } from '../../../support/wait.js';
import { installNodes } from '../../nodes/install.js';
import { inside, type Machine, needsMachine, sharedMachine } from '../machine.js';
import { alone, run, traffic, upgradable, upgrade } from './upgrade.js';

const nodes = await installNodes();
const needsNodes = 'reason' in nodes && process.env.CI !== 'true' ? { skip: nodes.reason } : needsMachine();
const much = { webSockets: 200, downloads: 20 };

/** The service cannot see below /root: ProtectHome=. */
async function placeNode(machine: Machine, major: number): Promise<string> {
  if ('reason' in nodes) throw new Error(nodes.reason);
  const to = `/opt/nodes/${major}/bin/node`;
  const from = nodes.executables.get(major);
  await machine.must(['sh', '-c', 'install -D -m 755 "$1" "$2"', 'sh', `${from}`, to]);
  return to;
}

test('under load Node.js 22 becomes 24 and 22 again: nothing is cut', needsNodes, async (t) => {
  const machine = await sharedMachine();
  const [older, newer] = [await placeNode(machine, 22), await placeNode(machine, 24)];
  const own = await upgradable(machine, t, { node: older });
  const under = await traffic(t, machine, own, much);
  assert.match(await under.node(), /^v22\./);
  for (const [path, version] of [
    [newer, /^v24\./],
    [older, /^v22\./],
  ] as const) {
    const { code, said } = await upgrade(machine, '--node', path);
    assert.equal(code, 0, said);
    assert.match(await under.node(), version);
    assert.ok((await under.echoes()).every((node) => node.startsWith('v22.')));
  }
  await under.whole();
  await under.echoes();
  under.closeWebSockets();
  await alone(own);
  const { NRestarts, ActiveState } = await own.show('NRestarts', 'ActiveState');
  assert.deepEqual([NRestarts, ActiveState], ['0', 'active']);
});

test('under load a version becomes the next one and goes back: nothing is cut', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const versions = ['7.0.1', '7.0.2'];
  for (const version of versions) {
    await machine.must([
      'sh',
      '-c',
      `set -e; mkdir -p /opt/versions/$1; cd /opt/versions/$1; cp -r $2/dist .; ln -sfn $2/node_modules node_modules
       sed 's/"version": "[^"]*"/"version": "'$1'"/' $2/package.json > package.json`,
      ...['sh', version, inside.repo],
    ]);
  }
  const lead = (version = '') =>
    machine.must(['ln', '-sfn', `/opt/versions/${version}`, '/opt/versions/current']);
  await lead(versions[0]);
  const own = await upgradable(machine, t, { main: '/opt/versions/current/dist/cli/main.js' });
  const under = await traffic(t, machine, own, much);
  for (const version of [versions[1], versions[0]]) {
    await lead(version);
    const { code, said } = await upgrade(machine);
    assert.equal(code, 0, said);
    assert.ok(said.includes(`rom-agent ${version},`), said);
  }
  await under.whole();
  await under.echoes();
  under.closeWebSockets();
  await alone(own);
  assert.equal((await own.show('NRestarts')).NRestarts, '0');
});

for (const how of ['throws', 'answers-500'])
  test(`a Node.js under which the app ${how} is rolled back`, needsNodes, async (t) => {
    const machine = await sharedMachine();
    const [older, newer] = [await placeNode(machine, 22), await placeNode(machine, 24)];
    const own = await upgradable(machine, t, { node: older, env: { FAIL_UNDER: '24', FAIL_HOW: how } });
    const before = await own.master();
    const under = await traffic(t, machine, own, { webSockets: 20, downloads: 5 });
    const { code, said } = await upgrade(machine, '--node', newer);
    assert.equal(code, 70, said);
    assert.match(said, how === 'throws' ? /rolled back.*no Node\.js v24/ : /rolled back.*answers failed/);
    await rolledBack(own, before);
    if (how === 'throws') await under.whole();
    await under.echoes();
    // As if nothing had been.
    assert.equal((await own.systemctl('reload')).code, 0);
  });

async function rolledBack(own: Awaited<ReturnType<typeof upgradable>>, before: number): Promise<void> {
  assert.equal(await own.master(), before);
  await alone(own);
  const { NRestarts, ActiveState } = await own.show('NRestarts', 'ActiveState');
  assert.deepEqual([NRestarts, ActiveState], ['0', 'active']);
}

test('a next master that is killed, aborted, or met by a stop changes nothing', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await upgradable(machine, t, { name: 'ended', env: { ROM_AGENT_RELOAD_SOAK: '600s' } });
  const before = await own.master();
  const under = await traffic(t, machine, own, { webSockets: 5, downloads: 2 });
  const next = (): Promise<number> =>
    waitFor('the next master with its worker', async () => {
      const all = await own.processes();
      const masters = all.filter(({ pid }) => pid !== before && all.some(({ parent }) => parent === pid));
      return masters[0]?.pid;
    }) as Promise<number>;
  const killed = upgrade(machine);
  await own.kill(await next(), 'SIGKILL');
  assert.equal((await killed).code, 70);
  await rolledBack(own, before);

  const aborted = upgrade(machine);
  await own.logged(/its first worker serves, and is watched/);
  await run(machine, 'abort');
  const { code, said } = await aborted;
  assert.equal(code, 70, said);
  assert.match(said, /aborted by/);
  await rolledBack(own, before);
  await under.whole();

  const stopped = upgrade(machine);
  await next();
  assert.equal((await own.systemctl('stop')).code, 0);
  await stopped;
  assert.deepEqual(await own.processes(), []);
  assert.equal((await own.show('Result')).Result, 'success');
  assert.deepEqual(await killings(own), []);
});

test('systemctl stop after an upgrade drains the old workers as well', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await upgradable(machine, t, { name: 'stopped', env: { DRAIN_TIMEOUT: '30s' } });
  const under = await traffic(t, machine, own, { webSockets: 10, downloads: 3 });
  assert.equal((await upgrade(machine)).code, 0);
  await under.whole();
  assert.equal((await own.systemctl('stop')).code, 0);
  assert.deepEqual(await own.processes(), []);
  const { Result, NRestarts } = await own.show('Result', 'NRestarts');
  assert.deepEqual([Result, NRestarts], ['success', '0']);
  assert.deepEqual(await killings(own), []);
});

test(
  'the next master is the main process: systemd restarts the service when it dies',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await upgradable(machine, t);
    const under = await traffic(t, machine, own, { webSockets: 3, downloads: 0 });
    assert.equal((await upgrade(machine)).code, 0);
    await own.kill(await own.master(), 'SIGKILL');
    await own.becomes('NRestarts', '1');
    await own.becomes('ActiveState', 'active');
    await own.becomes('StatusText', /2 of 2 workers ready/);
    assert.match(await under.node(), /^v/);
  },
);

test('what cannot be taken over is refused plainly', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  await refused(machine, t, { dispatch: 'round-robin', why: /dispatch is "round-robin"; expected "shared"/ });
});

async function refused(
  machine: Machine,
  t: TestContext,
  { dispatch, why }: { readonly dispatch: string; readonly why: RegExp },
): Promise<void> {
  const own = await upgradable(machine, t, { name: dispatch, env: { ROM_AGENT_DISPATCH: dispatch } });
  const before = await own.master();
  const { code, said } = await upgrade(machine);
  assert.equal(code, 75, said);
  assert.match(said, why);
  const bad = await upgrade(machine, '--node', '/nowhere/node');
  assert.equal(bad.code, 75, bad.said);
  assert.equal(await own.master(), before);
  await own.systemctl('stop');
}

test('sockets of a socket unit are taken over: nothing is cut', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await upgradable(machine, t, { socket: [] });
  const under = await traffic(t, machine, own, { webSockets: 10, downloads: 3 });
  for (const _ of [1, 2]) {
    const { code, said } = await upgrade(machine);
    assert.equal(code, 0, said);
  }
  await under.whole();
  await under.echoes();
  under.closeWebSockets();
  await alone(own);
});

/** What systemd had to kill. */
async function killings(own: Awaited<ReturnType<typeof upgradable>>): Promise<readonly string[]> {
  return (await own.systemdSaid(/Killing process/)).map(({ message }) => message);
}
