import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { heapSnapshotCommand } from '../../../src/cli/look/evidence.js';
import { largestSnapshot, readSummary } from '../../../src/cli/look/heap-summary.js';
import { fakeSession } from './fake-session.js';

const mib = 2 ** 20;

describe('rom-agent heap-snapshot', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'rom-agent-snapshot-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const ask = async (path: string, flags: { summary?: boolean } = {}) => {
    const session = fakeSession({ heapSnapshot: async () => ({ path, bytes: 7 }) });
    assert.equal(await heapSnapshotCommand(session, '1', flags), 0);
    // Scripts take the path from standard output.
    assert.equal(session.out(), `${path}\n`);
    return session.warnings;
  };

  test('says which variable keeps the memory, and which function uses it', async () => {
    // A thread: its heap is small, that of this process is not.
    const path = join(folder, 'leak.heapsnapshot');
    const script = join(folder, 'leaks.cjs');
    writeFileSync(
      script,
      `const hoard = [];
       function remember(n) { hoard.push({ n, text: 'visit ' + n + ' '.repeat(200) + Math.random() }); }
       for (let n = 0; n < 8_000; n++) remember(n);
       globalThis.remember = remember;
       require('node:v8').writeHeapSnapshot(require('node:worker_threads').workerData);`,
    );
    await once(new Worker(script, { workerData: path }), 'exit');
    const [first = ''] = await ask(path);
    assert.match(first, /^hoard \(Array\) keeps [\d.]+ MiB, \d+ % of the heap; used by \S+ at leaks\.cjs:2$/);
  });

  test('does not read the snapshot where --no-summary is given', async () => {
    assert.deepEqual(await ask('/nowhere/x.heapsnapshot', { summary: false }), []);
  });

  for (const [what, text, words] of [
    ['is cut off', '{"snapshot":', /^the snapshot was not read: .*JSON/],
    ['is something else', '{"a":1}', /^the snapshot was not read: it is no heap snapshot of V8; Chrome/],
  ] as const) {
    test(`says so where the file ${what}`, async () => {
      const path = join(folder, 'broken.heapsnapshot');
      writeFileSync(path, text);
      const [first = ''] = await ask(path);
      assert.match(first, words);
    });
  }

  test('says so where the file is not on this machine', async () => {
    const [first = ''] = await ask(join(folder, 'none.heapsnapshot'));
    assert.match(first, /not read: it is not on this machine/);
  });

  test('says that it reads where that takes long', async () => {
    const answer = { path: join(folder, 'none.heapsnapshot'), bytes: 211 * mib };
    const session = fakeSession({ heapSnapshot: async () => answer });
    await heapSnapshotCommand(session, '1');
    assert.equal(
      session.warnings[0],
      'reading 211 MiB: what keeps the memory; Ctrl-C leaves the file as it is',
    );
  });

  test('reads no snapshot that this machine has too little memory for', async () => {
    const path = join(folder, 'large.heapsnapshot');
    writeFileSync(path, ' '.repeat(3 * mib));
    const told = await readSummary(path, { availableBytes: 16 * mib, heapBytes: 4_000 * mib });
    assert.deepEqual(told, { problem: 'it has 3 MiB, and there is memory to read 2 MiB of it at most' });
    assert.equal(largestSnapshot({ availableBytes: 16_000 * mib, heapBytes: 80 * mib }), 10 * mib);
  });
});
