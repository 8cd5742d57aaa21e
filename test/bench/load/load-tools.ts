import { type ChildProcess, execFile } from 'node:child_process';
import { cpus } from 'node:os';
import { promisify } from 'node:util';

export interface LoadResult {
  readonly requests: number;
  /** Errors of sockets, answers other than 2xx, and (ab) answers of another length than the first. */
  readonly failed: number;
  readonly requestsPerSecond: number;
}

/** A load generator that runs. */
export interface Load {
  readonly process: Pick<ChildProcess, 'kill'>;
  /** Rejects where it failed, with what it said. */
  readonly result: Promise<LoadResult>;
}

/** A connection per request: 100 at a time. */
export function ab(url: string, requests: number): Load {
  return start('ab', ['-q', '-l', '-c', '100', '-n', `${requests}`, url], parseAb);
}

/** 64 connections that are kept, one thread, for so many seconds. */
export function wrk(url: string, seconds: number, more: readonly string[] = []): Load {
  return start('wrk', ['-t1', '-c64', `-d${seconds}s`, ...more, url], parseWrk);
}

/**
 * What keeps the load generator on the CPU of BENCH_CPU: taskset(1) of util-linux, which every Debian has.
 *
 * @throws Error where that is no number of a CPU
 */
export function pinning({ BENCH_CPU }: NodeJS.ProcessEnv): readonly string[] {
  if (BENCH_CPU === undefined || BENCH_CPU === '') return [];
  if (/^\d+$/.test(BENCH_CPU) && Number(BENCH_CPU) < cpus().length) return ['taskset', '-c', BENCH_CPU];
  throw new Error(`BENCH_CPU: ${JSON.stringify(BENCH_CPU)}; expected a CPU from 0 to ${cpus().length - 1}`);
}

export function parseAb(output: string): LoadResult {
  return {
    requests: required(output, /^Complete requests:\s+(\d+)/m),
    failed: optional(output, /^Failed requests:\s+(\d+)/m) + optional(output, /^Non-2xx responses:\s+(\d+)/m),
    requestsPerSecond: required(output, /^Requests per second:\s+([\d.]+)/m),
  };
}

export function parseWrk(output: string): LoadResult {
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output);
  const [, ...counts] = errors ?? [];
  return {
    requests: required(output, /^\s*(\d+) requests in /m),
    failed: counts.reduce(
      (total, count) => total + Number(count),
      optional(output, /Non-2xx or 3xx responses: (\d+)/),
    ),
    requestsPerSecond: required(output, /^Requests\/sec:\s+([\d.]+)/m),
  };
}

/**
 * A load generator would be on another machine. On this one it preempts the service with each answer that it gets, unless
 * it is a batch process, which never does (sched(7), SCHED_BATCH): chrt(1) of util-linux.
 */
function start(tool: string, args: readonly string[], parse: (output: string) => LoadResult): Load {
  const all = ['--batch', '0', ...pinning(process.env), tool, ...args];
  const done = promisify(execFile)('chrt', all, { timeout: 120_000 });
  const result = done.then(
    ({ stdout }) => parse(stdout),
    (cause) => {
      // What chrt and taskset say of a command that they do not find.
      const hint = cause.code === 127 ? 'it is not installed (make bench-deps)' : cause.message;
      throw new Error(`${tool}: ${hint}`, { cause });
    },
  );
  return { process: done.child, result };
}

function required(output: string, pattern: RegExp): number {
  const value = pattern.exec(output)?.[1];
  if (value === undefined) throw new Error(`the output has no ${pattern}:\n${output}`);
  return Number(value);
}

function optional(output: string, pattern: RegExp): number {
  return Number(pattern.exec(output)?.[1] ?? 0);
}
