import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

/** Of a process that idles: every tick finds that since the last one everything unused was collected. */
const idling = `
import { executionAsyncResource } from 'node:async_hooks';
import { keepTickShape, keptTick } from '${new URL('../../../../src/worker/app/surroundings.js', import.meta.url).href}';
const tick = () => new Promise((resolve) => process.nextTick(() => resolve(executionAsyncResource())));
keepTickShape();
await tick();
for (let round = 0; round < 10; round++) {
  gc();
  if (!%HaveSameMap(keptTick(), await tick())) throw new Error('another shape in round ' + round);
}
process.stdout.write('one shape');
`;

test('the shape of what process.nextTick() makes outlives the collections of a process that idles', () => {
  const flags = ['--expose-gc', '--allow-natives-syntax', '--input-type=module'];
  assert.equal(execFileSync(process.execPath, [...flags, '-e', idling], { encoding: 'utf8' }), 'one shape');
});
