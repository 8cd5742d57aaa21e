import { crc32 } from 'node:zlib';

/** The file below a journal, and its faults in tests. */
export interface JournalFile {
  read(): Promise<Buffer>;
  append(bytes: Buffer): Promise<void>;
  /** Resolves when what was appended survives a loss of power: fdatasync(2). */
  sync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  /** Bytes. */
  size(): Promise<number>;
  /** Puts another content in its place, all or nothing, safe when it resolves: rename(2). */
  replace(pieces: Iterable<Buffer>): Promise<void>;
  /** Keeps a copy of the content for whoever wants to look at it. @returns its path */
  setAside(content: Buffer): Promise<string>;
  close(): Promise<void>;
}

export interface Journal {
  /**
   * Resolves when the record is in the file, with `sync` when it is safe there. A failure takes all records with it that are
   * under way: `undo` is called for each, the last one first, and then its promise rejects.
   */
  append(record: object, options: { readonly sync: boolean; readonly undo?: () => void }): Promise<void>;
  /** Of the file, bytes. */
  size(): number;
  close(): Promise<void>;
}

export interface JournalSeam {
  readonly file: JournalFile;
  /** The records that say all that is there at this moment. */
  readonly snapshot: () => Iterable<object>;
  readonly onProblem: (message: string) => void;
}

/** What is kept of a file before it is written anew, bytes, and as a multiple of what it was then. */
const leastToCompact = 4 * 1024 * 1024;
const growth = 2;
/** Of one write, bytes. */
const pieceSize = 1024 * 1024;

interface Pending {
  readonly line: Buffer;
  readonly sync: boolean;
  readonly undo: (() => void) | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * An append-only file of records, a line each with its checksum. What a crash tore off its end is cut away when it is
 * opened: nobody was promised it.
 *
 * @param take is called with each record of the file, in order
 */
export async function openJournal(
  { file, snapshot, onProblem }: JournalSeam,
  take: (record: object) => void,
): Promise<Journal> {
  const loaded = await load(file, take, onProblem);
  let { size } = loaded;
  // What is in it is not known: once after each start it is written anew, so that it does not grow from start to start.
  let compactAt = leastToCompact;
  let queue: Pending[] = [];
  let flushing: Promise<void> | null = null;
  /** The file's end is not known to be what it should: it has to be written anew. */
  let { isDirty } = loaded;

  const write = async (batch: readonly Pending[]): Promise<void> => {
    const bytes = Buffer.concat(batch.map(({ line }) => line));
    try {
      await file.append(bytes);
    } catch (error) {
      // A part of it may be there.
      await file.truncate(size).catch(() => {
        isDirty = true;
      });
      throw error;
    }
    size += bytes.length;
    if (!batch.some(({ sync }) => sync)) return;
    try {
      await file.sync();
    } catch (error) {
      // The kernel may have dropped what it could not write.
      isDirty = true;
      throw error;
    }
  };
  /** The snapshot has all that is pending too. */
  const compact = async (): Promise<void> => {
    let bytes = 0;
    const pieces = [...inPieces(snapshot())];
    for (const piece of pieces) bytes += piece.length;
    try {
      await file.replace(pieces);
    } catch (error) {
      // It may be in its place and not be safe.
      const is = await file.size().catch(() => null);
      if (is !== size) isDirty = true;
      throw error;
    }
    size = bytes;
    compactAt = Math.max(leastToCompact, growth * size);
    isDirty = false;
  };
  const flushAll = async (): Promise<void> => {
    // Whoever adds in the same turn is in the same write.
    await new Promise((resolve) => setImmediate(resolve));
    while (queue.length > 0) {
      const batch = queue;
      queue = [];
      try {
        if (isDirty || size > compactAt) {
          await compact().catch((error) => {
            if (isDirty) throw error;
            // Where there is no room for a second file the first one goes on.
            compactAt = growth * size;
            onProblem(`the journal could not be written anew: ${error}`);
            return write(batch);
          });
        } else await write(batch);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        const all = [...batch, ...queue];
        queue = [];
        for (const { undo } of all.toReversed()) undo?.();
        for (const { reject } of all) reject(error);
      }
    }
  };
  const flush = (): void => {
    flushing ??= flushAll().finally(() => {
      flushing = null;
      if (queue.length > 0) flush();
    });
  };
  return {
    append: (record, { sync, undo }) =>
      new Promise((resolve, reject) => {
        queue.push({ line: lineOf(record), sync, undo, resolve, reject });
        flush();
      }),
    size: () => size,
    close: async () => {
      while (flushing !== null) await flushing;
      await file.close();
    },
  };
}

/** Nothing is kept: for development, and where there is no directory. */
export const noJournal: Journal = {
  append: async () => {},
  size: () => 0,
  close: async () => {},
};

function lineOf(record: object): Buffer {
  const text = JSON.stringify(record);
  return Buffer.from(`${checksum(text)} ${text}\n`);
}

function* inPieces(records: Iterable<object>): Iterable<Buffer> {
  let lines: Buffer[] = [];
  let bytes = 0;
  for (const record of records) {
    const line = lineOf(record);
    lines.push(line);
    bytes += line.length;
    if (bytes < pieceSize) continue;
    yield Buffer.concat(lines);
    [lines, bytes] = [[], 0];
  }
  yield Buffer.concat(lines);
}

async function load(
  file: JournalFile,
  take: (record: object) => void,
  onProblem: (message: string) => void,
): Promise<{ size: number; isDirty: boolean }> {
  const content = await file.read();
  let at = 0;
  /** Where the records end that can be read. */
  let good = 0;
  let damaged = 0;
  while (at < content.length) {
    const end = content.indexOf(0x0a, at);
    const record = end === -1 ? null : recordOf(content.subarray(at, end));
    at = end === -1 ? content.length : end + 1;
    if (record === null) damaged++;
    else {
      take(record);
      if (damaged > 0 && good !== -1) good = -1;
      if (good !== -1) good = at;
    }
  }
  if (good === -1) {
    const copy = await file.setAside(content);
    onProblem(
      `the journal has ${damaged} damaged lines between good ones, which are left out; a copy of it is ${copy}`,
    );
    return { size: content.length, isDirty: true };
  }
  if (good < content.length) await file.truncate(good);
  return { size: good, isDirty: false };
}

function recordOf(line: Buffer): object | null {
  const text = line.subarray(9).toString();
  if (line[8] !== 0x20 || line.subarray(0, 8).toString('latin1') !== checksum(text)) return null;
  try {
    return JSON.parse(text) as object;
  } catch {
    return null;
  }
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
