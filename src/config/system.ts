import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, homedir, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
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
    cwd: process.cwd(),
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
  };
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
