import { spawn } from 'node:child_process';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes, RomAgentError } from '../errors.js';
import type { LogLine, LogSource } from '../protocol/log-line.js';
import { type JournalEntry, ofFile, ofJournal } from './parse-line.js';

/** A log that can be read again. */
export type KeptLog = Exclude<LogSource, { kind: 'none' }>;

export interface ReadOptions {
  /** The last so many, of those that `wants` lets through. */
  readonly lines: number;
  /** Wall clock, ms since 1970; null: as far back as there is any. */
  readonly since: number | null;
  /** Goes on with what is written from now on, until `signal`. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
  readonly wants?: (line: LogLine) => boolean;
  /** How often a file is looked at, ms. */
  readonly interval?: number;
}

/**
 * Reads the last lines of a log, oldest first, and follows it. Nothing that is written in between is lost or read twice.
 *
 * @throws RomAgentError exit 69 where the journal cannot be read, 66 where a file cannot be
 */
export async function readLog(
  source: KeptLog,
  options: ReadOptions,
  onLine: (line: LogLine) => void,
): Promise<void> {
  if (source.kind === 'journal') await readJournal(source, options, onLine);
  else await readFiles(source, options, onLine);
}

type Journal = Extract<LogSource, { kind: 'journal' }>;

async function readJournal(
  source: Journal,
  options: ReadOptions,
  onLine: (line: LogLine) => void,
): Promise<void> {
  const { lines, since, follow, signal, wants = () => true } = options;
  const { unit, ofUser } = source;
  const which = unit === null ? ['--identifier=rom-agent'] : [ofUser ? '--user-unit' : '--unit', unit];
  const from = since === null ? [] : [`--since=@${Math.floor(since / 1000)}`];
  const found: LogLine[] = [];
  let newest: string | null = null;
  // Backwards, since nobody knows how far the wanted lines reach.
  await journalctl(['--reverse', ...from, ...which], signal, (entry) => {
    newest ??= String(entry.__CURSOR);
    const line = ofJournal(entry);
    if (wants(line)) found.push(line);
    return found.length < lines;
  });
  for (const line of found.slice(0, lines).reverse()) onLine(line);
  if (!follow || signal.aborted) return;
  const after = newest === null ? ['--lines=0'] : ['--lines=all', `--after-cursor=${newest}`];
  await journalctl(['--follow', ...after, ...which], signal, (entry) => {
    const line = ofJournal(entry);
    if (wants(line)) onLine(line);
    return true;
  });
}

/** `onEntry` says whether it wants more. */
async function journalctl(
  args: readonly string[],
  signal: AbortSignal,
  onEntry: (entry: JournalEntry) => boolean,
): Promise<void> {
  const child = spawn('journalctl', ['--quiet', '--no-pager', '--output=json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  let complaint = '';
  let isEnough = false;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = `${complaint}${text}`.slice(0, 2_000);
  });
  const reader = createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY });
  reader.on('line', (text) => {
    if (isEnough || signal.aborted) return;
    const entry = asEntry(text);
    if (entry === null || onEntry(entry)) return;
    isEnough = true;
    child.kill();
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    let exit: number | null = null;
    const parts = 2;
    let over = 0;
    const end = (): void => {
      over += 1;
      if (over === parts) resolve(exit);
    };
    child.once('exit', (status) => {
      exit = status;
      end();
    });
    // The last lines come after the exit.
    reader.once('close', end);
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.name === 'AbortError') return null;
    throw noJournal(error.code === 'ENOENT' ? 'there is no journalctl on this machine' : error.message);
  });
  if (isEnough || signal.aborted) return;
  if (code !== 0) throw noJournal(complaint.trim() || `journalctl ended with status ${code}`);
}

function noJournal(reason: string): RomAgentError {
  return new RomAgentError(
    `the journal cannot be read: ${reason}; members of the groups systemd-journal and adm may read it, and root`,
    { exitCode: exitCodes.addressInUse },
  );
}

function asEntry(text: string): JournalEntry | null {
  try {
    return JSON.parse(text) as JournalEntry;
  } catch {
    return null;
  }
}

type FileSource = Exclude<KeptLog, Journal>;

async function readFiles(
  source: FileSource,
  options: ReadOptions,
  onLine: (line: LogLine) => void,
): Promise<void> {
  const { lines, since, follow, signal, wants = () => true, interval = 250 } = options;
  const isOld = ({ atMs }: LogLine): boolean => since !== null && atMs < since;
  const isWanted = (line: LogLine): boolean => wants(line) && !isOld(line);
  const files = await filesOf(source);
  const newest = files.at(-1);
  let at: Place = { path: newest ?? null, offset: newest === undefined ? 0 : await endOf(newest) };
  const found: LogLine[] = [];
  let beside = Date.now();
  search: for (const path of [...files].reverse()) {
    for await (const text of backwards(path, path === at.path ? at.offset : await endOf(path))) {
      const line = ofFile(text, beside);
      beside = line.atMs;
      if (isOld(line)) break search;
      if (isWanted(line)) found.push(line);
      if (found.length >= lines) break search;
    }
  }
  for (const line of found.reverse()) onLine(line);
  while (follow && !signal.aborted) {
    at = await readOn(at, source, (text) => {
      const line = ofFile(text, Date.now());
      if (isWanted(line)) onLine(line);
    });
    await sleep(interval, undefined, { signal }).catch(() => {});
  }
}

interface Place {
  readonly path: string | null;
  /** Where the line begins whose end has not been read yet. */
  readonly offset: number;
}

/** What was appended since, and the next day's file, where there is one. A file that is shorter was begun anew. */
async function readOn(place: Place, source: FileSource, onText: (text: string) => void): Promise<Place> {
  let at = place;
  const files = await filesOf(source);
  for (const path of files.filter((candidate) => at.path === null || candidate >= at.path)) {
    const end = await endOf(path);
    if (path !== at.path || end < at.offset) at = { path, offset: 0 };
    const part = end === at.offset ? '' : (await readPart(path, at.offset, end)).toString('utf8');
    const lines = part.slice(0, part.lastIndexOf('\n') + 1);
    at = { path, offset: at.offset + Buffer.byteLength(lines) };
    for (const text of lines.split('\n')) if (text !== '') onText(text);
  }
  return at;
}

const dayFile = /^\d{4}-\d{2}-\d{2}\.log$/;

/** By age. @throws RomAgentError exit 66 */
async function filesOf(source: FileSource): Promise<readonly string[]> {
  try {
    if (source.kind === 'file') {
      await stat(source.path);
      return [source.path];
    }
    const names = await readdir(source.path);
    return names
      .filter((name) => dayFile.test(name))
      .sort()
      .map((name) => join(source.path, name));
  } catch (error) {
    throw new RomAgentError(`the log cannot be read: ${(error as Error).message}`, {
      exitCode: exitCodes.moduleMissing,
      cause: error,
    });
  }
}

/** The end of its last whole line, in bytes; 0 where the file has gone. */
async function endOf(path: string): Promise<number> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  const from = Math.max(0, size - chunk);
  const last = size === 0 ? -1 : (await readPart(path, from, size)).lastIndexOf(10);
  return last === -1 ? from : from + last + 1;
}

const chunk = 64 * 1024;

/** The lines before `end`, the last first. */
async function* backwards(path: string, end: number): AsyncGenerator<string> {
  let position = end;
  let tail: Buffer<ArrayBufferLike> = Buffer.alloc(0);
  while (position > 0) {
    const from = Math.max(0, position - chunk);
    let part: Buffer<ArrayBufferLike> = Buffer.concat([await readPart(path, from, position), tail]);
    position = from;
    for (let at = part.lastIndexOf(10); at !== -1; at = part.lastIndexOf(10)) {
      const line = part.subarray(at + 1).toString('utf8');
      part = part.subarray(0, at);
      if (line !== '') yield line;
    }
    tail = part;
  }
  if (tail.length > 0) yield tail.toString('utf8');
}

async function readPart(path: string, from: number, end: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - from), 0, end - from, from);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
