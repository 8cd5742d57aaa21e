import { fstatSync, readFileSync, readlinkSync } from 'node:fs';
import { type UnitOfProcess, unitInCgroup } from '../config/cgroup.js';
import { isJournal } from '../logging/layout.js';
import type { LogSource } from '../protocol/log-line.js';

export interface LogSourceSeam {
  /** Of standard output. */
  readonly fd: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The setting `log.dir`. */
  readonly dir: string | null;
  /** The file of standard output where the service manager has named it. */
  readonly outputFile: string | null;
}

/** Where all that the service writes can be read again: as much of it as possible. */
export function findLogSource({ fd, env, dir, outputFile }: LogSourceSeam): LogSource {
  if (isJournal(fd, env)) return { kind: 'journal', ...ownUnit() };
  const path = outputFile ?? fileOf(fd);
  if (path !== null) return { kind: 'file', path };
  return dir === null ? { kind: 'none' } : { kind: 'folder', path: dir };
}

/** The unit's name, for those who are told of several services. */
export function serviceName(): string {
  return ownUnit().unit?.replace(/\.service$/, '') ?? 'rom-agent';
}

function ownUnit(): UnitOfProcess {
  try {
    return unitInCgroup(readFileSync('/proc/self/cgroup', 'utf8'));
  } catch {
    return { unit: null, ofUser: false };
  }
}

function fileOf(fd: number): string | null {
  try {
    if (!fstatSync(fd).isFile()) return null;
    const path = readlinkSync(`/proc/self/fd/${fd}`);
    return path.startsWith('/') && !path.endsWith(' (deleted)') ? path : null;
  } catch {
    return null;
  }
}
