import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { makeDirectory } from '../../../src/files.js';

describe('a directory', () => {
  test('is made with all that is missing above it, and left as it is where it is there', async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'rom-agent-directory-'));
    t.after(() => rmSync(home, { recursive: true }));
    const path = join(home, 'a/b');
    const mode = () => statSync(path).mode & 0o777;
    await Promise.all([makeDirectory(path, 0o700), makeDirectory(path, 0o700)]);
    assert.equal(mode(), 0o700);
    await makeDirectory(path, 0o750);
    assert.equal(mode(), 0o700);
  });

  test('that cannot be made is an error', async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'rom-agent-directory-'));
    t.after(() => rmSync(home, { recursive: true }));
    writeFileSync(join(home, 'file'), '');
    await assert.rejects(makeDirectory(join(home, 'file/a/b'), 0o700), { code: 'ENOTDIR' });
  });

  test('below /proc is an error too, and not an endless loop', {
    skip: process.platform !== 'linux' && 'there is no /proc',
  }, async () => {
    await assert.rejects(makeDirectory('/proc/nowhere/a', 0o700), { code: 'ENOENT' });
  });
});
