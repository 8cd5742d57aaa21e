import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repoRoot } from '../../support/process.js';

/** The folder with PM2 in its node_modules, or why there is none. */
export type Installed = { readonly folder: string } | { readonly reason: string };

const version = join(repoRoot, 'test', 'system', 'pm2', 'version');
const cache = process.env.ROM_AGENT_TEST_PM2 ?? join(homedir(), '.cache', 'rom-agent-test-pm2');

/** Installs PM2 from npm, unless that was done before: it is kept, in ROM_AGENT_TEST_PM2 or ~/.cache. */
export async function installPm2(): Promise<Installed> {
  const lock = readFileSync(join(version, 'package-lock.json'));
  const folder = join(cache, createHash('sha256').update(lock).digest('hex').slice(0, 12));
  const failure = existsSync(folder) ? null : await make(folder);
  return failure === null ? { folder } : { reason: failure };
}

/** Options for `test()`: skipped with the reason where PM2 cannot be installed; in CI the test runs and fails instead. */
export function needsPm2(installed: Installed): { skip: string | false } {
  return { skip: 'reason' in installed && process.env.CI !== 'true' ? installed.reason : false };
}

/** Under another name first, so that what has its own name is whole. */
async function make(folder: string): Promise<string | null> {
  await mkdir(cache, { recursive: true });
  const made = await mkdtemp(join(cache, 'making-'));
  try {
    for (const file of ['package.json', 'package-lock.json']) await cp(join(version, file), join(made, file));
    const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--omit=optional'];
    await promisify(execFile)('npm', ['ci', ...flags], { cwd: made });
    await rename(made, folder);
    return null;
  } catch (error) {
    // Another run may have been faster.
    if (existsSync(folder)) return null;
    const { stderr = '', message } = error as Error & { stderr?: string };
    return `npm ci: ${(stderr.trim() || message).split('\n').slice(0, 4).join('; ')}`;
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}
