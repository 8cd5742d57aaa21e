import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface LoadResult {
  readonly requests: number;
  /** Errors of sockets, answers other than 2xx, and (ab) answers of another length than the first. */
  readonly failed: number;
  readonly requestsPerSecond: number;
}

/** A connection per request: 100 at a time. */
export async function ab(url: string, requests: number): Promise<LoadResult> {
  return parseAb(await run('ab', ['-q', '-c', '100', '-n', `${requests}`, url]));
}

/** 64 connections that are kept, one thread, for so many seconds. */
export async function wrk(url: string, seconds: number): Promise<LoadResult> {
  return parseWrk(await run('wrk', ['-t1', '-c64', `-d${seconds}s`, url]));
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

async function run(tool: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(tool, args, { timeout: 60_000 }).catch((cause) => {
    const hint = cause.code === 'ENOENT' ? 'it is not installed (make bench-deps)' : cause.message;
    throw new Error(`${tool}: ${hint}`, { cause });
  });
  return stdout;
}

function required(output: string, pattern: RegExp): number {
  const value = pattern.exec(output)?.[1];
  if (value === undefined) throw new Error(`the output has no ${pattern}:\n${output}`);
  return Number(value);
}

function optional(output: string, pattern: RegExp): number {
  return Number(pattern.exec(output)?.[1] ?? 0);
}
