import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { availableParallelism, homedir, tmpdir, totalmem } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findDirectories } from './directories.js';
import type { LoadInput } from './load.js';
import { readMachine } from './machine.js';

/** What loadConfig needs, from the process it runs in. */
export function systemInput(flags: LoadInput['flags']): LoadInput {
  const { platform, env } = process;
  const uid = process.getuid?.() ?? 0;
  const readFile = (path: string) => readFileSync(path, 'utf8');
  return {
    flags,
    env,
    cwd: logicalDirectory(env.PWD),
    directories: findDirectories({
      env,
      uid,
      platform,
      home: homeOf(),
      tmpdir: tmpdir(),
      checkout: findCheckout(),
    }),
    machine: readMachine({ readFile, availableParallelism, totalmem, platform }),
    readFile,
    nodeVersion: process.versions.node,
    platform,
    nodeRejects: rejectionOf,
  };
}

/** The current directory by the way that led there: one that is a link is followed anew at each reload. */
function logicalDirectory(logical: string | undefined): string {
  const cwd = process.cwd();
  if (logical === undefined || !isAbsolute(logical)) return cwd;
  started ??= isSame(logical, cwd) ? logical : cwd;
  return started;
}

/** As it was at first: the link may lead elsewhere later. */
let started: string | undefined;

function isSame(logical: string, cwd: string): boolean {
  try {
    return realpathSync.native(logical) === cwd;
  } catch {
    return false;
  }
}

/** What is installed, by make or by npm, comes without the sources. */
function findCheckout(): string | null {
  const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
  return existsSync(join(root, 'src/cli/main.ts')) ? root : null;
}

/** null without HOME and without an entry in passwd(5), as the users of DynamicUser= and of containers are: ENOENT. */
function homeOf(): string | null {
  try {
    return homedir();
  } catch {
    return null;
  }
}

/** What this Node has against the flags: `bad option: --foo`; null: nothing. Takes a start of Node, without any script. */
export function rejectionOf(flags: readonly string[]): string | null {
  const { status, stderr } = spawnSync(process.execPath, ['--version', ...flags], {
    encoding: 'utf8',
    timeout: 10_000,
  });
  if (status === 0 || status === null) return null;
  return (stderr.trim().split('\n')[0] ?? '').replace(/^[^:]*: /, '');
}
