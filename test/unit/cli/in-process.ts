import type { TestContext } from 'node:test';
import { runCommand } from '../../../src/cli/run.js';
import { folder } from '../control/place.js';

/** What a command has come to. */
export interface RanHere {
  readonly code: number;
  /** What it wrote to standard output and to standard error. */
  readonly out: string;
  readonly err: string;
}

export interface RunningHere {
  readonly ended: Promise<RanHere>;
  /** What it has written to standard output so far. */
  out(): string;
}

/**
 * Runs a command in this process, in a folder of its own, with no other variables than these: a process for each costs
 * more than most of what is to be seen. One at a time.
 */
export function runHere(
  t: TestContext,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): RunningHere {
  const written = { out: '', err: '' };
  const { stdout, stderr, env: envBefore, exitCode } = process;
  const cwd = process.cwd();
  const writers = [
    capture(stdout, (text) => (written.out += text)),
    capture(stderr, (text) => (written.err += text)),
  ];
  process.env = { ...env };
  process.exitCode = undefined;
  process.chdir(folder(t));
  const restore = (): void => {
    for (const undo of writers) undo();
    process.env = envBefore;
    process.exitCode = exitCode;
    process.chdir(cwd);
  };
  const ended = new Promise<number>((resolve) => {
    void runCommand([process.execPath, 'rom-agent', ...args], resolve).then((ending) => {
      // A command that has not said its status by now says it by exit.
      if (ending !== null) resolve(ending.exitCode);
      else if (process.exitCode !== undefined) resolve(Number(process.exitCode));
    });
  });
  return {
    ended: ended.then((code) => ({ code, ...written })).finally(restore),
    out: () => written.out,
  };
}

/** Takes what a command writes, which is text; the bytes are the test runner's. */
function capture(stream: NodeJS.WriteStream, take: (text: string) => void): () => void {
  const { write } = stream;
  const listeners = new Set(stream.listeners('error'));
  stream.write = ((chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    if (typeof chunk !== 'string') return Reflect.apply(write, stream, [chunk, ...rest]);
    take(chunk);
    for (const callback of rest) if (typeof callback === 'function') setImmediate(() => callback());
    return true;
  }) as typeof stream.write;
  return () => {
    stream.write = write;
    for (const listener of stream.listeners('error'))
      if (!listeners.has(listener)) stream.off('error', listener as (error: Error) => void);
  };
}
