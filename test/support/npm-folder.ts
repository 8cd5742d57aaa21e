import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface NpmFolder {
  /** Has package.json and package-lock.json. */
  readonly from: string;
  /** Where what was installed is kept, in a folder that is named after the lock file. */
  readonly cache: string;
  /** Of `npm ci`: `['--omit=optional']`. */
  readonly flags?: readonly string[];
}

/** Installs what a lock file names, unless that was done before. Resolves to where it is, or to why it is nowhere. */
export async function installNpmFolder(options: NpmFolder): Promise<{ folder: string } | { reason: string }> {
  const { from, cache } = options;
  const lock = readFileSync(join(from, 'package-lock.json'));
  const folder = join(cache, createHash('sha256').update(lock).digest('hex').slice(0, 12));
  const failure = existsSync(folder) ? null : await make(folder, options);
  return failure === null ? { folder } : { reason: failure };
}

/** Under another name first, so that what has its own name is whole. */
async function make(folder: string, { from, cache, flags = [] }: NpmFolder): Promise<string | null> {
  await mkdir(cache, { recursive: true });
  const made = await mkdtemp(join(cache, 'making-'));
  try {
    for (const file of ['package.json', 'package-lock.json']) await cp(join(from, file), join(made, file));
    await promisify(execFile)('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts', ...flags], {
      cwd: made,
    });
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
