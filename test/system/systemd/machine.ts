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

async function shutDown(): Promise<void> {
  const booted = [...machines.values()];
  machines.clear();
  await Promise.all(
    booted.map((booting) =>
      booting.then(
        (one) => one.shutdown(),
        () => {},
      ),
    ),
  );
}

after(shutDown);
// Node ends the root of all tests, and calls its hooks, as soon as no test is left that it knows: before a file is imported
// whose tests come later, where those of the files before are all skipped.
process.on('beforeExit', () => void (machines.size > 0 && shutDown()));
