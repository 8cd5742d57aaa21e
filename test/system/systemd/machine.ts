import { after } from 'node:test';
import { boot } from './boot.js';
import { Machine } from './booted-machine.js';
import { type Suite, treeOf } from './trees.js';

export { inside } from './boot.js';
export { Machine, type PropertyWait, type UnitProcess } from './booted-machine.js';
export type { JournalEntry } from './journal.js';
export { needsMachine, needsPrograms, needsTree } from './requirements.js';
export { suites } from './trees.js';

/** The machine of this process: booted by the first who asks, shut down when the last test is over. */
export function sharedMachine(): Promise<Machine> {
  return machineOf('here', async () => '/');
}

/** The same with the disk of a clean Debian, which has no package but the essential ones. */
export function cleanMachine(suite: Suite): Promise<Machine> {
  return machineOf(suite, () => treeOf(suite));
}

const machines = new Map<string, Promise<Machine>>();

function machineOf(name: string, tree: () => Promise<string>): Promise<Machine> {
  const known = machines.get(name);
  if (known !== undefined) return known;
  const booting = tree().then(async (path) => new Machine(await boot(path)));
  machines.set(name, booting);
  return booting;
}

after(async () => {
  await Promise.all(
    [...machines.values()].map((booting) =>
      booting.then(
        (one) => one.shutdown(),
        () => {},
      ),
    ),
  );
});
