import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { repoRoot } from '../support/process.js';

/** In one file of the compiled sources one text, which occurs exactly once, is another. */
export interface Plant {
  /** Relative to src, ending in .js. */
  readonly file: string;
  readonly text: string;
  readonly instead: string;
}

const compiled = fileURLToPath(new URL('../../src/', import.meta.url));

/** Builds rom-agent as `npm run build` does, from sources that were changed. Resolves to its main file. */
export async function buildVariant(folder: string, plants: readonly Plant[]): Promise<string> {
  const place = mkdtempSync(join(folder, 'variant-'));
  const sources = join(place, 'build', 'tsc');
  mkdirSync(join(place, 'build'));
  cpSync(compiled, sources, { recursive: true });
  for (const plant of plants) sow(sources, plant);
  for (const shared of ['node_modules', 'src']) symlinkSync(join(repoRoot, shared), join(place, shared));
  cpSync(join(repoRoot, 'package.json'), join(place, 'package.json'));
  const bundle = join(repoRoot, 'packaging', 'bundle.mjs');
  await promisify(execFile)(process.execPath, [bundle], { cwd: place });
  return join(place, 'dist', 'cli', 'main.js');
}

function sow(sources: string, { file, text, instead }: Plant): void {
  const path = join(sources, file);
  const source = readFileSync(path, 'utf8');
  assert.equal(source.split(text).length, 2, `${file} has this once: ${text}`);
  writeFileSync(
    path,
    source.replace(text, () => instead),
  );
}

/**
 * A master that has connections moved from everywhere to everywhere all the time, and not only where some are too many;
 * a worker tells of itself ten times in a second, and each time there are new orders. How workers move connections, and
 * which, is what it always is.
 */
export const restless: readonly Plant[] = [
  { file: 'protocol/limits.js', text: 'settleTime = 250', instead: 'settleTime = 20' },
  { file: 'core/balance.js', text: 'if (!isUneven(state.workers))', instead: 'if (false)' },
  {
    file: 'core/balance.js',
    text: '(worker) => isAwake(worker, now) && isWell(worker) && takesPart(worker)',
    instead: '(worker) => takesPart(worker)',
  },
  {
    file: 'core/balance.js',
    text: 'if (!ready.every((worker) => isSettled(worker, state.moved)))',
    instead: 'if (false)',
  },
  {
    file: 'core/balance.js',
    text: 'const moves = movesBetween(ready.map(({ key, heartbeat }) => ({ key, kept: heartbeat?.kept ?? 0 })));',
    instead:
      'const moves = ready.flatMap(({ key: from }) => ready.filter(({ key }) => key !== from).map(({ key: to }) => ({ from, to, count: 1_000 })));',
  },
  { file: 'core/balance.js', text: 'now - heartbeatAt > together', instead: 'false' },
  {
    file: 'worker/health/heartbeats.js',
    text: '}, interval).unref();',
    instead: '}, 100).unref();',
  },
];
