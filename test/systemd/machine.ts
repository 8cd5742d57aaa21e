import { after } from 'node:test';
import { boot } from './boot.js';
import { Machine } from './booted-machine.js';

export { inside } from './boot.js';
export { Machine, type PropertyWait, type UnitProcess } from './booted-machine.js';
export type { JournalEntry } from './journal.js';
export { needsMachine, needsPrograms } from './requirements.js';

/** The machine of this process: booted by the first who asks, shut down when the last test is over. */
export function sharedMachine(): Promise<Machine> {
  shared ??= boot().then((booted) => new Machine(booted));
  return shared;
}

let shared: Promise<Machine> | null = null;

after(async () => {
  const machine = await shared?.catch(() => null);
  await machine?.shutdown();
});
