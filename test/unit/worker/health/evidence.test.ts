import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeEvidence } from '../../../../src/worker/health/evidence.js';

const dir = mkdtempSync(join(tmpdir(), 'rom-agent-evidence-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

test('a profile has samples of what ran meanwhile, in a file for this user alone', async () => {
  const path = join(dir, 'a.cpuprofile');
  const busy = setInterval(spinForAMoment, 5);
  const { bytes, failure } = await writeEvidence({ kind: 'profile', path, seconds: 0.2 });
  clearInterval(busy);
  assert.equal(failure, null);
  assert.equal(statSync(path).size, bytes);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const { nodes, samples } = JSON.parse(readFileSync(path, 'utf8'));
  assert.ok(samples.length > 0);
  const names = nodes.map(({ callFrame }: { callFrame: { functionName: string } }) => callFrame.functionName);
  assert.ok(names.includes('spinForAMoment'), names.join());
});

test('a heap snapshot is what developer tools read, in a file for this user alone', async () => {
  const path = join(dir, 'a.heapsnapshot');
  const { bytes, failure } = await writeEvidence({ kind: 'heap-snapshot', path, seconds: 0 });
  assert.equal(failure, null);
  assert.equal(statSync(path).size, bytes);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const { snapshot, nodes } = JSON.parse(readFileSync(path, 'utf8'));
  assert.equal(nodes.length, snapshot.node_count * snapshot.meta.node_fields.length);
});

test('a file that exists is neither overwritten nor removed, and a directory must be there', async () => {
  const taken = join(dir, 'taken');
  writeFileSync(taken, 'mine');
  for (const kind of ['profile', 'heap-snapshot'] as const) {
    const { failure } = await writeEvidence({ kind, path: taken, seconds: 0.01 });
    assert.match(failure ?? '', /EEXIST/);
    assert.equal(readFileSync(taken, 'utf8'), 'mine');
    const nowhere = join(dir, 'nowhere', 'x');
    assert.match((await writeEvidence({ kind, path: nowhere, seconds: 0.01 })).failure ?? '', /ENOENT/);
    assert.ok(!existsSync(nowhere));
  }
});

test('without room on the disk nothing is written, and the failure says how much would be needed', async () => {
  const path = join(dir, 'full');
  for (const kind of ['profile', 'heap-snapshot'] as const) {
    const { failure } = await writeEvidence({ kind, path, seconds: 0.01 }, () => 60 * 2 ** 20);
    assert.match(failure ?? '', new RegExp(`^${dir} has 60 MiB free; expected \\d+ MiB for a ${kind}$`));
    assert.ok(!existsSync(path));
  }
});

function spinForAMoment(): void {
  const end = performance.now() + 4;
  while (performance.now() < end);
}
