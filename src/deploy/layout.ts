import {
  closeSync,
  type Dirent,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { makeDirectorySync, syncDirectorySync } from '../files.js';
import { isAlive, parseProcStat } from '../processes.js';
import type { DeployRecord } from '../protocol/deploy.js';
import type { Journal, OnDisk } from './decide.js';

/** The directory of deploys, `deploy.directory`. What is written here is on disk when the call returns. */
export interface Layout {
  readonly directory: string;
  readonly releases: string;
  readonly current: string;
  /** Of git and npm, for their caches and keys. */
  readonly home: string;
  /** The output of the commands of a deploy. */
  readonly log: (id: string) => string;
  readonly release: (id: string) => string;
  /** A release while it is made. */
  readonly partial: (id: string) => string;
  readonly lock: string;
  /** What the processes of a deploy bear: another service may have one of the same id. */
  readonly mark: (id: string) => string;
}

const journalName = 'deploy.json';
const historyName = 'deploys.json';
const partialSuffix = '.partial';
const nextLink = 'current.new';
const backLink = 'current.back';
/** How many deploys are remembered. */
const mostRecords = 50;

export function layoutOf(directory: string): Layout {
  const releases = join(directory, 'releases');
  return {
    directory,
    releases,
    current: join(directory, 'current'),
    home: join(directory, 'home'),
    log: (id) => join(directory, 'logs', `${id}.log`),
    release: (id) => join(releases, id),
    partial: (id) => join(releases, `${id}${partialSuffix}`),
    lock: join(directory, 'deploy.lock'),
    mark: (id) => `${id} ${directory}`,
  };
}

/** Makes what is missing. */
export function makeLayout({ directory, releases, log }: Layout): void {
  for (const path of [directory, releases, dirname(log(''))]) makeDirectorySync(path, 0o755);
}

/** The release to which `current` leads; null: it is none of ours, or there is no link. */
export function readCurrent({ current }: Layout): string | null {
  return idIn(current);
}

function idIn(link: string): string | null {
  try {
    const [, id = null] = /(?:^|\/)releases\/([^/]+)\/?$/.exec(readlinkSync(link)) ?? [];
    return id;
  } catch {
    return null;
  }
}

/** What is at `current` and no symbolic link. */
export function isOccupied({ current }: Layout): boolean {
  try {
    readlinkSync(current);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EINVAL';
  }
}

/** Has `current` lead to a release, or to none, in one step. */
export function switchTo({ directory, current }: Layout, id: string | null): void {
  const back = join(directory, backLink);
  if (id === null) {
    rmSync(current, { force: true });
  } else if (idIn(back) === id) {
    renameSync(back, current);
  } else {
    const next = join(directory, nextLink);
    rmSync(next, { force: true });
    symlinkSync(join('releases', id), next);
    renameSync(next, current);
  }
  syncDirectorySync(directory);
}

/** Makes the link by which switchTo() goes back to a release with a rename alone. */
export function prepareWayBack({ directory }: Layout, id: string): void {
  removeWayBack({ directory });
  symlinkSync(join('releases', id), join(directory, backLink));
}

export function removeWayBack({ directory }: Pick<Layout, 'directory'>): void {
  for (const name of [backLink, nextLink]) rmSync(join(directory, name), { force: true });
}

/** The finished releases, newest first by their name. */
export function listReleases({ releases }: Layout): readonly string[] {
  return namesIn(releases)
    .filter((name) => !name.includes('.partial'))
    .sort()
    .reverse();
}

/** Those that nobody works on any more, where no deploy is under way, and tarballs beside them. */
export function listPartials({ releases }: Layout): readonly string[] {
  return namesIn(releases, () => true).filter((name) => name.includes(partialSuffix));
}

/** A partial release becomes a finished one. */
export function seal(layout: Layout, id: string): void {
  renameSync(layout.partial(id), layout.release(id));
  syncDirectorySync(layout.releases);
}

export function hasRelease(layout: Layout, id: string): boolean {
  return existsSync(layout.release(id));
}

/** null where no deploy is under way. @throws Error where the file cannot be read or understood */
export function readJournal({ directory }: Layout): Journal | null {
  const text = textOf(join(directory, journalName));
  if (text === null) return null;
  const value = JSON.parse(text) as Journal;
  if (value.version !== 1 || typeof value.id !== 'string' || typeof value.stage !== 'string')
    throw new Error('it is not the journal of a deploy');
  return value;
}

export function writeJournal({ directory }: Layout, journal: Journal): void {
  writeWhole(join(directory, journalName), journal);
}

export function removeJournal({ directory }: Layout): void {
  rmSync(join(directory, journalName), { force: true });
  syncDirectorySync(directory);
}

/** A damaged journal is put aside, for a person to look at, and counts as none. */
export function journalOrAside(layout: Layout, onProblem: (text: string) => void): Journal | null {
  try {
    return readJournal(layout);
  } catch (error) {
    const path = join(layout.directory, journalName);
    const aside = `${path}.bad`;
    renameSync(path, aside);
    onProblem(`the journal of a deploy is damaged (${(error as Error).message}): renamed it to ${aside}`);
    return null;
  }
}

/** What decide() has to know of the disk. */
export function diskOf(layout: Layout, { previous }: Journal): OnDisk {
  return { current: readCurrent(layout), hasPrevious: previous !== null && hasRelease(layout, previous) };
}

/** The last deploys, newest first. A damaged file is as none. */
export function readHistory({ directory }: Layout): readonly DeployRecord[] {
  try {
    const value: unknown = JSON.parse(textOf(join(directory, historyName)) ?? '[]');
    return Array.isArray(value) ? value.filter(isRecord) : [];
  } catch {
    return [];
  }
}

/** Adds a deploy, or replaces it: one that was interrupted while it was written is written again. */
export function addToHistory(layout: Layout, record: DeployRecord): void {
  const others = readHistory(layout).filter(({ id, atMs }) => id !== record.id || atMs !== record.atMs);
  writeWhole(join(layout.directory, historyName), [record, ...others].slice(0, mostRecords));
}

function isRecord(value: unknown): value is DeployRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { id, verdict, atMs } = value as Partial<DeployRecord>;
  return typeof id === 'string' && typeof verdict === 'string' && typeof atMs === 'number';
}

/** A reader sees the old content or the new one, also after a loss of power. */
function writeWhole(path: string, value: unknown): void {
  const next = `${path}.new`;
  const file = openSync(next, 'w', 0o640);
  try {
    writeSync(file, `${JSON.stringify(value, null, 1)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(next, path);
  syncDirectorySync(dirname(path));
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function namesIn(
  path: string,
  isWanted = (entry: Dirent): boolean => entry.isDirectory(),
): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter(isWanted)
      .map(({ name }) => name);
  } catch {
    return [];
  }
}

/** One deploy at a time, whoever begins it: a file with the process that holds it. */
export interface Lock {
  release(): void;
}

interface Holder {
  readonly pid: number;
  /** When it was started, as the kernel says it; null: nobody knows. */
  readonly started: string | null;
}

/** null where another process that lives holds it. */
export function takeLock({ lock }: Layout): Lock | null {
  const own = `${lock}.${process.pid}`;
  const holder: Holder = { pid: process.pid, started: startOf(process.pid) };
  writeFileSync(own, JSON.stringify(holder), { mode: 0o640 });
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        // The lock never exists without its content.
        linkSync(own, lock);
        return { release: () => rmSync(lock, { force: true }) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        if (lockHolder(lock) !== null) return null;
        rmSync(lock, { force: true });
      }
    }
    return null;
  } finally {
    rmSync(own, { force: true });
  }
}

/** The living process that holds the lock. */
export function lockHolder(lock: string): number | null {
  let holder: Partial<Holder>;
  try {
    holder = JSON.parse(readFileSync(lock, 'utf8')) as Partial<Holder>;
  } catch {
    return null;
  }
  const { pid, started = null } = holder;
  if (typeof pid !== 'number') return null;
  if (!isAlive(pid)) return null;
  const now = startOf(pid);
  // The number may belong to another process by now.
  return now !== null && started !== null && now !== started ? null : pid;
}

/** null where there is no such process, or no /proc. */
function startOf(pid: number): string | null {
  try {
    return parseProcStat(readFileSync(`/proc/${pid}/stat`, 'latin1')).start;
  } catch {
    return null;
  }
}
