import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory, syncDirectory } from '../../files.js';
import { isAlive } from '../../processes.js';
import { type Engine, tellOne } from '../engine.js';
import { createEmbedded } from './engine.js';
import { type JournalFile, noJournal, openJournal } from './journal.js';
import type { JournalRecord } from './records.js';
import { Store } from './store.js';

export interface OpenOptions {
  /** Absolute path of the directory of the journal, which this process alone uses. */
  readonly directory: string;
  readonly onProblem: (message: string) => void;
}

const fileName = 'journal';

/** The embedded engine on disk. Rejects where the directory or the journal cannot be used. */
export async function openEmbedded({ directory, onProblem }: OpenOptions): Promise<Engine> {
  await makeDirectory(directory, 0o700);
  const store = new Store();
  const file = await openFile(directory);
  const snapshot = (): Iterable<object> => store.snapshot(Date.now());
  const journal = await openJournal({ file, snapshot, onProblem }, (record) =>
    store.apply(record as JournalRecord),
  );
  return createEmbedded({ store, journal, place: directory, ...surroundings });
}

/**
 * The embedded engine in memory: what it keeps is gone with the process. It gives away copies, as a socket does: what an app
 * does to them changes nothing here.
 */
export function createInMemory(): Engine {
  const engine = createEmbedded({ store: new Store(), journal: noJournal, place: 'memory', ...surroundings });
  return {
    ...engine,
    get: async (key) => structuredClone(await engine.get(key)),
    failed: async (queue, limit) => structuredClone(await engine.failed(queue, limit)),
    work: (queue, concurrency, handle, options) =>
      engine.work(queue, concurrency, (job, signal) => handle(structuredClone(job), signal), options),
    subscribe: (channel, take) =>
      engine.subscribe(channel, (message) => tellOne(take, structuredClone(message))),
  };
}

const surroundings = {
  clock: Date.now,
  after: (ms: number, call: () => void): (() => void) => {
    const timer = setTimeout(call, ms).unref();
    return () => clearTimeout(timer);
  },
  newId: (): string => randomUUID(),
  isAlive,
};

const flags = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND;

async function openFile(directory: string): Promise<JournalFile> {
  const path = join(directory, fileName);
  const temporary = `${path}.new`;
  let handle = await open(path, flags, 0o600);
  await syncDirectory(directory);
  return {
    read: () => readFile(path),
    append: (bytes) => handle.appendFile(bytes),
    sync: () => handle.datasync(),
    truncate: (bytes) => handle.truncate(bytes),
    size: async () => (await handle.stat()).size,
    replace: async (pieces) => {
      const next = await writeWhole(temporary, pieces);
      await rename(temporary, path);
      const old = handle;
      handle = next;
      await old.close();
      await syncDirectory(directory);
    },
    setAside: async (content) => {
      const copy = `${path}.damaged`;
      await writeFile(copy, content, { mode: 0o600 });
      return copy;
    },
    close: () => handle.close(),
  };
}

async function writeWhole(path: string, pieces: Iterable<Buffer>): Promise<FileHandle> {
  const handle = await open(path, flags | constants.O_TRUNC, 0o600);
  try {
    for (const piece of pieces) await handle.appendFile(piece);
    await handle.sync();
    return handle;
  } catch (error) {
    await handle.close();
    await rm(path, { force: true });
    throw error;
  }
}
