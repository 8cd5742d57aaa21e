import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repoRoot } from '../../support/process.js';

/** Executables by their majors, or why there are none. */
export type Nodes = { readonly reason: string } | { readonly executables: ReadonlyMap<number, string> };

const versions = join(repoRoot, 'test', 'system', 'nodes', 'versions');
const cache = process.env.ROM_AGENT_TEST_NODES ?? join(homedir(), '.cache', 'rom-agent-test-nodes');

/** The majors in test/system/nodes/versions. */
export function majors(): readonly number[] {
  const { dependencies } = JSON.parse(readFileSync(join(versions, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  return Object.keys(dependencies).map((name) => Number(name.replace('node', '')));
}

/** Installs them from npm, unless that was done before: they are kept, in ROM_AGENT_TEST_NODES or ~/.cache. */
export async function installNodes(): Promise<Nodes> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return { reason: `npm has these for linux on x64, not for ${process.platform} on ${process.arch}` };
  const lock = readFileSync(join(versions, 'package-lock.json'));
  const folder = join(cache, createHash('sha256').update(lock).digest('hex').slice(0, 12));
  const failure = existsSync(folder) ? null : await make(folder);
  if (failure !== null) return { reason: failure };
  const executables = majors().map(
    (major) => [major, join(folder, 'node_modules', `node${major}`, 'bin', 'node')] as const,
  );
  return { executables: new Map(executables) };
}

/** Under another name first, so that what has its own name is whole. */
async function make(folder: string): Promise<string | null> {
  await mkdir(cache, { recursive: true });
  const made = await mkdtemp(join(cache, 'making-'));
  try {
    for (const file of ['package.json', 'package-lock.json'])
      await cp(join(versions, file), join(made, file));
    await promisify(execFile)('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: made });
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
