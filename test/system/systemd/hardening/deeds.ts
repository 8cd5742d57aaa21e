import assert from 'node:assert/strict';
import { inside, type Machine } from '../machine.js';
import type { Service } from '../service.js';

/** What the app of fixtures/systemd/hardened.cjs does in one request, and what comes of it where nothing is refused. */
const deeds = {
  ...{ addon: true, cpus: true, interfaces: true, state: 'kept', tmp: 'kept' },
  ...{ program: 'program', thread: 'thread', database: 'database', wasm: 7 },
};

/** Everything works: the app's deeds, a native addon among them, the journal, a profile and a heap snapshot. */
export async function servesWhole(machine: Machine, own: Service, home: string): Promise<void> {
  const { home: seen, ...told } = JSON.parse((await own.get('/')).text) as Record<string, unknown>;
  assert.deepEqual(told, deeds);
  assert.equal(seen, home);
  const said = await own.logged(/^deeds done by \d+$/);
  assert.equal(said.message, `deeds done by ${said.pid}`, 'the journal has the PID of the writer');
  for (const look of [
    ['profile', '1', '--seconds', '1'],
    ['heap-snapshot', '2'],
  ])
    await leavesFile(machine, own, look);
}

async function leavesFile(machine: Machine, own: Service, look: readonly string[]): Promise<void> {
  const folder = own.unit.startsWith('rom-agent@') ? own.unit.replace('.service', '') : 'rom-agent';
  const socket = `/run/${folder}/control.sock`;
  const argv = [inside.node, `${inside.repo}/dist/cli/main.js`, ...look, '--control-socket', socket];
  const path = (await machine.must(argv)).trim().split('\n').at(-1) ?? '';
  assert.match(await machine.must(['head', '-c', '40', path]), /^\{"(?:nodes|snapshot)"/, path);
}

/** The sandbox is there at all: no right, no way to one, a filter. proc_pid_status(5). */
export async function isSandboxed(own: Service): Promise<void> {
  const [status = ''] = await own.statuses();
  assert.match(status, /^CapBnd:\t0+$/m);
  assert.match(status, /^NoNewPrivs:\t1$/m);
  assert.match(status, /^Seccomp:\t2$/m);
}
