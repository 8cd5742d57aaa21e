import { createWriteStream, type WriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

export type OutputStream = 'out' | 'err';
export type OutputListener = (stream: OutputStream, text: string) => void;

/** What a run writes: its beginning and its end are kept. */
export interface Output {
  /** Reads a pipe of the run. */
  read(stream: OutputStream, pipe: Readable): void;
  /** Something that we have to say ourselves. */
  say(text: string): void;
  /** Hears of what was kept so far, then of everything. @returns what ends it */
  follow(listener: OutputListener): () => void;
  /** Bytes, those that are not kept included. */
  bytes(): number;
  /** Nothing comes any more: resolves once the file is written. */
  end(): Promise<void>;
}

/** Of the beginning, and of the end, bytes. */
export const keptHead = 128 * 1024;
export const keptTail = 128 * 1024;
/** The master reads no more than so many bytes of a run in so many ms: what writes faster waits. */
const mostAtOnce = 1024 * 1024;
const pause = 100;

export interface OutputSeam {
  readonly path: string;
  /** Makes the directory of the file. */
  readonly prepare: () => Promise<void>;
  readonly onProblem: (error: unknown) => void;
}

export function createOutput({ path, prepare, onProblem }: OutputSeam): Output {
  const listeners = new Set<OutputListener>();
  const head: { stream: OutputStream; text: string }[] = [];
  let [bytes, inHead, inWindow] = [0, 0, 0];
  let tail: Buffer[] = [];
  let tailBytes = 0;
  let file: Promise<WriteStream | null> | null = null;
  let window: NodeJS.Timeout | null = null;
  const paused = new Set<Readable>();

  const opened = (): Promise<WriteStream | null> => {
    file ??= prepare().then(
      () => {
        const stream = createWriteStream(path, { flags: 'a', mode: 0o640 });
        stream.on('error', onProblem);
        return stream;
      },
      (error: unknown) => {
        onProblem(error);
        return null;
      },
    );
    return file;
  };
  const write = (chunk: Buffer): void => {
    // In their order: each waits for the same promise.
    void opened().then((stream) => stream?.write(chunk));
  };
  const keep = (chunk: Buffer): void => {
    bytes += chunk.length;
    const room = Math.max(0, keptHead - inHead);
    const first = chunk.subarray(0, room);
    if (first.length > 0) {
      inHead += first.length;
      write(Buffer.from(first));
    }
    const rest = chunk.subarray(first.length);
    if (rest.length === 0) return;
    tail.push(Buffer.from(rest));
    tailBytes += rest.length;
    while (tail[0] !== undefined && tailBytes - tail[0].length >= keptTail) {
      tailBytes -= tail[0].length;
      tail = tail.slice(1);
    }
  };
  const tell = (stream: OutputStream, text: string): void => {
    if (text === '') return;
    if (inHead < keptHead) head.push({ stream, text });
    for (const listener of listeners) listener(stream, text);
  };
  const throttle = (pipe: Readable, length: number): void => {
    inWindow += length;
    window ??= setTimeout(() => {
      [window, inWindow] = [null, 0];
      for (const each of paused) each.resume();
      paused.clear();
    }, pause);
    if (inWindow < mostAtOnce) return;
    pipe.pause();
    paused.add(pipe);
  };

  return {
    read: (stream, pipe) => {
      const decoder = new StringDecoder('utf8');
      pipe.on('data', (chunk: Buffer) => {
        tell(stream, decoder.write(chunk));
        keep(chunk);
        throttle(pipe, chunk.length);
      });
      pipe.on('end', () => tell(stream, decoder.end()));
      pipe.on('error', () => {});
    },
    say: (text) => {
      tell('err', text);
      keep(Buffer.from(text));
    },
    follow: (listener) => {
      for (const { stream, text } of head) listener(stream, text);
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    bytes: () => bytes,
    end: async () => {
      if (window !== null) clearTimeout(window);
      if (file === null) return;
      const left = bytes - inHead - Math.min(tailBytes, keptTail);
      const last = Buffer.concat(tail).subarray(-keptTail);
      if (left > 0) write(Buffer.from(`\n[${left} bytes left out]\n`));
      if (last.length > 0) write(last);
      const stream = await opened();
      if (stream === null || stream.destroyed) return;
      await new Promise<void>((resolve) => {
        stream.once('close', resolve);
        stream.end();
      });
    },
  };
}
