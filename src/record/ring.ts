import { constants } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { join } from 'node:path';

/*
 * Lines in two files of a bounded size: where the newer one is full, it takes the place of the older one. Writing is
 * buffered, asynchronous and without fsync. Whatever goes wrong costs lines, never more: a reader skips a line that is torn,
 * and one that is torn gets its line break before the next one is written.
 */

export interface RingSeam {
  readonly dir: string;
  /** Makes the directory where it is missing. */
  readonly makeDirectory: () => Promise<void>;
  /** Of the newer file; the older one has `.old` before its extension. */
  readonly name: string;
  /** Of each of the two files, bytes. */
  readonly limit: number;
  /** The monotonic clock, ms. */
  readonly now: () => number;
  /** Told once, and again only after a write has succeeded. */
  readonly onProblem: (error: unknown) => void;
}

export interface Ring {
  /** Whether the next line is the first of a file, or follows lines that were lost: what it builds on has to come first. */
  readonly isFresh: boolean;
  /** False for a while after a failure: what is added is lost. */
  accepts(): boolean;
  /** What the last write failed by; null: it did not. */
  readonly failure: unknown;
  /** Adds lines, each with its line break. Nothing is written before `flush`. */
  append(lines: string): void;
  /** The lines that follow belong into the next file, if this one is full. */
  turnIfFull(): void;
  /** Bytes that wait to be written. */
  readonly waiting: number;
  /** Resolves once everything so far is written, or is lost. */
  flush(): Promise<void>;
  /** The same, and lets go of the file, until the next line opens it again. */
  settle(): Promise<void>;
}

/** Bytes that may wait for a disk that does not take them: beyond it they are lost. */
const mostWaiting = 4 * 2 ** 20;
/** From a failure to the next try, ms. */
const retryAfter = 60_000;

/** The paths of a ring's files, the older one first. */
export function filesOf(dir: string, name: string): readonly string[] {
  return [join(dir, name.replace(/(\.[^.]*)$/, '.old$1')), join(dir, name)];
}

export function openRing({ dir, makeDirectory, name, limit, now, onProblem }: RingSeam): Ring {
  const [older = '', newer = ''] = filesOf(dir, name);
  /** Text, and null where the files are turned. */
  let queue: (string | null)[] = [];
  let waiting = 0;
  /** Bytes of the newer file, with those that wait; as far as it is known. */
  let size = 0;
  let isFresh = true;
  let failedAt: number | null = null;
  let failure: unknown = null;
  let file: FileHandle | null = null;
  let writing: Promise<void> | null = null;

  const lose = (): void => {
    queue = [];
    waiting = 0;
    isFresh = true;
  };
  const close = async (): Promise<void> => {
    const old = file;
    file = null;
    await old?.close().catch(() => {});
  };
  const turn = async (): Promise<void> => {
    await close();
    await rename(newer, older).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  };
  const write = async (text: string): Promise<void> => {
    if (file === null) {
      await makeDirectory();
      const opened = await openForLines(newer);
      if (opened.size >= limit) {
        await opened.handle.close();
        await turn();
        return write(text);
      }
      file = opened.handle;
      size = opened.size + waiting;
      if (opened.isTorn) await file.appendFile('\n');
    }
    await file.appendFile(text);
  };
  const drain = async (): Promise<void> => {
    try {
      while (queue.length > 0) {
        const next = queue.indexOf(null);
        const text = queue.splice(0, next === -1 ? queue.length : next).join('');
        if (text !== '') {
          await write(text);
          waiting -= Buffer.byteLength(text);
        }
        if (queue[0] === null) {
          queue.shift();
          await turn();
        }
      }
      failure = null;
    } catch (error) {
      failedAt = now();
      lose();
      await close();
      if (failure === null) onProblem(error);
      failure = error;
    }
  };
  const accepts = (): boolean => {
    if (failedAt !== null && now() - failedAt < retryAfter) return false;
    failedAt = null;
    return true;
  };
  const flush = (): Promise<void> => {
    if (writing !== null) return writing.then(flush);
    if (queue.length === 0) return Promise.resolve();
    writing = drain().finally(() => {
      writing = null;
    });
    return writing;
  };
  return {
    get isFresh() {
      return isFresh;
    },
    get waiting() {
      return waiting;
    },
    get failure() {
      return failure;
    },
    accepts,
    append: (lines) => {
      if (!accepts()) return;
      const bytes = Buffer.byteLength(lines);
      if (waiting + bytes > mostWaiting) {
        failedAt = now();
        return lose();
      }
      queue.push(lines);
      waiting += bytes;
      size += bytes;
      isFresh = false;
    },
    turnIfFull: () => {
      if (size < limit) return;
      queue.push(null);
      size = 0;
      isFresh = true;
    },
    flush,
    settle: async () => {
      await flush();
      await close();
    },
  };
}

interface Opened {
  readonly handle: FileHandle;
  readonly size: number;
  /** Its last line has no end: whoever wrote it was killed, or the disk was full. */
  readonly isTorn: boolean;
}

/** Not through a link that somebody has put in its place: the app may write in the directory as well. */
async function openForLines(path: string): Promise<Opened> {
  const { O_APPEND, O_CREAT, O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle = await open(path, O_APPEND | O_CREAT | O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0o640);
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new Error(`${path} is not a regular file`);
    const last = Buffer.alloc(1);
    if (stat.size > 0) await handle.read(last, 0, 1, stat.size - 1);
    return { handle, size: stat.size, isTorn: stat.size > 0 && last[0] !== 0x0a };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
