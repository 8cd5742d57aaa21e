import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const memory = new URL('../../../src/protocol/memory.js', import.meta.url).href;

test('garbage is collected on demand, and the app finds no function for it', () => {
  const program = `
    import { runInNewContext } from 'node:vm';
    import { setImmediate as turn } from 'node:timers/promises';
    import { returnMemory } from '${memory}';
    const make = () => new WeakRef({ some: 'garbage' });
    const garbage = make();
    await turn();
    returnMemory();
    await turn();
    const found = runInNewContext('typeof gc');
    process.stdout.write(JSON.stringify([garbage.deref() === undefined, typeof globalThis.gc, found]));`;
  assert.deepEqual(run(program), [true, 'undefined', 'undefined']);
});

test('an app that runs with --expose-gc keeps it', () => {
  const program = `
    import { runInNewContext } from 'node:vm';
    import { returnMemory } from '${memory}';
    returnMemory();
    process.stdout.write(JSON.stringify([typeof globalThis.gc, runInNewContext('typeof gc')]));`;
  assert.deepEqual(run(program, '--expose-gc'), ['function', 'function']);
});

function run(program: string, ...flags: string[]): unknown {
  const args = [...flags, '--input-type=module', '-e', program];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}
