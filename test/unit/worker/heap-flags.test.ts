import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { heapFlags } from '../../../src/protocol/heap-flags.js';
import { hideHeapFlags } from '../../../src/worker/heap-flags.js';

const sizes = heapFlags({ maxOldSpaceSize: 128, maxSemiSpaceSize: 16 });

describe('the flags that size the heap', () => {
  test('are what V8 begins with, and set again as they were, the last of two in force', () => {
    const set: string[] = [];
    const argv = ['--max-old-space-size=99', '--enable-source-maps', '--stack-size=900', ...sizes];
    const show = hideHeapFlags(argv, (flag) => set.push(flag));
    assert.deepEqual(set.splice(0), [
      '--max-old-space-size=0',
      '--max-old-space-size=0',
      '--max-semi-space-size=0',
      '--min-semi-space-size=0',
      '--heap-growing-percent=0',
    ]);
    show();
    assert.deepEqual(set, [
      '--max-old-space-size=99',
      '--max-old-space-size=128',
      '--max-semi-space-size=16',
      '--min-semi-space-size=8',
      '--heap-growing-percent=300',
    ]);
  });

  test('do not keep V8 from the compiled form of the modules of Node while they are hidden, and limit the heap', () => {
    const limit = 128 * 2 ** 20;
    const { taken, heap, thread } = JSON.parse(
      execFileSync(process.execPath, [...flags, '-e', loading], { encoding: 'utf8' }),
    );
    assert.equal(taken, true);
    for (const size of [heap, thread]) assert.ok(size >= limit && size <= 1.5 * limit, `${heap}, ${thread}`);
  });
});

const flags = ['--expose-internals', '--no-warnings', '--input-type=module', ...sizes];

/** Tells whether V8 took the compiled form of a module, and how large the heaps of two threads may become. */
const loading = `
import { createRequire } from 'node:module';
import { getHeapStatistics } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { hideHeapFlags } from '${new URL('../../../src/worker/heap-flags.js', import.meta.url).href}';
const require = createRequire(process.cwd() + '/');
const { getCacheUsage } = require('internal/test/binding').internalBinding('builtins');
const show = hideHeapFlags(process.execArgv);
require('node:http2');
const taken = getCacheUsage().compiledWithCache.has('http2');
show();
const { heap_size_limit: heap } = getHeapStatistics();
const limitOfThread = 'require("node:worker_threads").parentPort.postMessage(require("node:v8").getHeapStatistics().heap_size_limit)';
new Worker(limitOfThread, { eval: true, execArgv: [] }).once('message', (thread) =>
  process.stdout.write(JSON.stringify({ taken, heap, thread })));
`;
