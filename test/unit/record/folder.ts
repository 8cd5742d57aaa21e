import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A directory that is removed with the test. */
export function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'rom-agent-record-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
