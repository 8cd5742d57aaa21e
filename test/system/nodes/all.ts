// The tests of the worker, whose source reaches for what Node keeps private, on every major of Node that we support.
// NODES_SAMPLE=1: those that are about moving connections, and about ending them. NODES=22,24: on these only.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { testedMajors } from '../../../src/worker/node-internals/fields.js';
import { installNodes, majors } from './install.js';

const sample = ['drain/drain', 'transfer/hand-on', 'transfer/moving-may', 'transfer/moving'];
const own = Number.parseInt(process.versions.node, 10);
const isSample = process.env.NODES_SAMPLE !== undefined;
const wanted = process.env.NODES?.split(',').map(Number) ?? majors().filter((major) => major !== own);

test('connections move on those majors of Node on which this is tested', () => {
  assert.deepEqual(majors(), testedMajors);
});

const nodes = await installNodes();
for (const major of wanted) {
  const skip = 'reason' in nodes && process.env.CI !== 'true' ? nodes.reason : false;
  test(`the worker on Node ${major}`, { skip }, (t) => {
    assert.ok(!('reason' in nodes), 'reason' in nodes ? nodes.reason : '');
    const node = nodes.executables.get(major);
    assert.ok(node !== undefined, `NODES: ${major}; expected of ${majors().join(', ')}`);
    const { status, stdout, stderr } = run(node);
    t.diagnostic(stdout.match(/^[#ℹ] pass \d+$/m)?.[0] ?? '');
    assert.equal(status, 0, `${failures(stdout)}\n${stderr.slice(-2_000)}`);
  });
}

function run(node: string): { status: number | null; stdout: string; stderr: string } {
  const folder = join(import.meta.dirname, '..', '..', 'unit', 'worker');
  const all = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.test.js'),
  );
  const files = isSample ? sample.map((name) => `${name}.test.js`) : all.sort();
  // Else the runner takes itself for a file of this one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const flags = ['--test', '--test-reporter=tap', `--test-concurrency=${availableParallelism()}`];
  const paths = files.map((name) => join(folder, name));
  return spawnSync(node, [...flags, ...paths], { env, encoding: 'utf8', maxBuffer: 64 * 2 ** 20 });
}

/** What has failed, with its reasons. */
function failures(tap: string): string {
  const lines = tap.split('\n');
  return lines
    .flatMap((line, place) => (/^\s*not ok /.test(line) ? lines.slice(place, place + 12) : []))
    .join('\n');
}
