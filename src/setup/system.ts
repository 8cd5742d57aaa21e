import { execFile } from 'node:child_process';
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { systemSeam as doctorsSeam } from '../doctor/system.js';
import type { Ran, SetupSeam } from './world.js';

/** The host that this process runs on. */
export function systemSeam(cwd: string): SetupSeam {
  return {
    ...doctorsSeam(),
    cwd,
    libdir: fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, ''),
    entries: (folder) => quietly(() => readdirSync(folder)) ?? [],
    write,
    rename: renameSync,
    remove: (path) => rmSync(path, { recursive: true, force: true }),
    removeEmpty: (folder) => void quietly(() => rmdirSync(folder)),
    execute,
    monotonic: () => performance.now(),
    sleep: (ms) => setTimeout(ms),
  };
}

function write({ path, content, mode }: Parameters<SetupSeam['write']>[0]): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  const unfinished = `${path}.${process.pid}.new`;
  try {
    const file = openSync(unfinished, 'w', 0o600);
    try {
      writeFileSync(file, content);
      // Whatever the umask is.
      fchmodSync(file, mode);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

/** A start waits for READY, for as long as the unit's own limits let it. */
function execute([file = '', ...args]: readonly string[]): Promise<Ran> {
  const env = { ...process.env, LC_ALL: 'C', SYSTEMD_COLORS: '0', SYSTEMD_PAGER: '' };
  return new Promise((resolve) => {
    execFile(file, args, { env, maxBuffer: 2 ** 22 }, (error, stdout, stderr) => {
      const said = `${stdout}${stderr}`.trim();
      resolve({ ok: error === null, output: said === '' && error !== null ? error.message : said });
    });
  });
}

function quietly<T>(act: () => T): T | null {
  try {
    return act();
  } catch {
    return null;
  }
}
