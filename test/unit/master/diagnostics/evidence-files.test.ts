import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { listEvidence, openEvidence } from '../../../../src/master/diagnostics/evidence-files.js';

const profile = '2026-11-24T09-15-30.123Z-worker-3-pid-4720.cpuprofile';
const snapshot = '2026-11-24T09-16-30.123Z-worker-12-pid-4721.heapsnapshot';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'rom-agent-evidence-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  const evidence = join(path, 'evidence');
  mkdirSync(evidence);
  writeFileSync(join(path, 'history.json'), 'secret');
  writeFileSync(join(evidence, profile), '{"nodes":[]}');
  writeFileSync(join(evidence, snapshot), 'heap');
  utimesSync(join(evidence, profile), 1_000, 1_000);
  utimesSync(join(evidence, snapshot), 2_000, 2_000);
  symlinkSync('../history.json', join(evidence, 'link.cpuprofile'));
  mkdirSync(join(evidence, 'folder'));
  return evidence;
}

describe('the files of evidence', () => {
  test('are listed newest first, without links and folders', async (t) => {
    assert.deepEqual(await listEvidence(folder(t)), [
      { name: snapshot, kind: 'heap-snapshot', worker: 12, bytes: 4, atMs: 2_000_000 },
      { name: profile, kind: 'profile', worker: 3, bytes: 12, atMs: 1_000_000 },
    ]);
    assert.deepEqual(await listEvidence('/nowhere'), []);
  });

  test('are read by their names', async (t) => {
    const found = await openEvidence(folder(t), profile);
    assert.equal(found?.bytes, 12);
    assert.equal(await text(found.content), '{"nodes":[]}');
  });

  test('are none outside of the folder, and none by way of a link', async (t) => {
    const evidence = folder(t);
    for (const name of ['../history.json', '..', '.', '', 'link.cpuprofile', 'folder', 'none', '/etc/passwd'])
      assert.equal(await openEvidence(evidence, name), null, name);
  });
});
