import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { repoRoot } from '../../support/process.js';
import { parseAb, parseWrk } from '../load/load-tools.js';

/** Of one run of a load generator. */
export interface Run {
  readonly requests: number;
  /** Errors of sockets and answers other than 2xx. */
  readonly failed: number;
  readonly requestsPerSecond: number;
}

/** ms */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** 64 connections that are kept, one thread, as fast as answers come. */
export async function wrk(url: string, seconds: number): Promise<Run & { readonly latency: Latency }> {
  const script = join(repoRoot, 'test', 'bench', 'peers', 'apps', 'latency.lua');
  const output = await tool('wrk', ['-t1', '-c64', `-d${seconds}s`, '-s', script, url]);
  return { ...parseWrk(output), latency: parseLatency(output) };
}

/** The line that latency.lua adds, in microseconds. */
export function parseLatency(output: string): Latency {
  const [, p50, p99, p999] = /^latency: (\d+) (\d+) (\d+)$/m.exec(output) ?? [];
  if (p50 === undefined) throw new Error(`wrk printed no latency:\n${output}`);
  return { p50: Number(p50) / 1e3, p99: Number(p99) / 1e3, p999: Number(p999) / 1e3 };
}

/** A connection per request: 100 at a time. */
export async function ab(url: string, requests: number): Promise<Run> {
  return parseAb(await tool('ab', ['-q', '-l', '-c', '100', '-n', `${requests}`, url]));
}

async function tool(name: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(name, [...args], { timeout: 120_000 });
    return stdout;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new Error(code === 'ENOENT' ? `${name} is not installed (make bench-deps)` : message, { cause });
  }
}

/** What open-loop.js prints. */
export interface OpenLoopResult {
  readonly requests: number;
  readonly failed: number;
  readonly latency: Latency;
  /** Answers by the worker that their body names. */
  readonly byWorker: Readonly<Record<string, number>>;
}

/** So many requests a second on 64 kept connections, whether answers come or not. */
export async function openLoop(
  url: string,
  options: { rate: number; seconds: number },
): Promise<OpenLoopResult> {
  const script = join(import.meta.dirname, 'clients', 'open-loop.js');
  const args = [script, url, `${options.rate}`, `${options.seconds}`];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 120_000 });
  return JSON.parse(stdout) as OpenLoopResult;
}

/** The busiest worker's part of the answers, 0 to 1; NaN where no worker was named. */
export function busiestShare({ byWorker }: Pick<OpenLoopResult, 'byWorker'>): number {
  const counts = Object.values(byWorker);
  if (counts.length === 0) return Number.NaN;
  return Math.max(...counts) / counts.reduce((sum, count) => sum + count, 0);
}

/** Connections that have had one answer each, and are kept until `end()`. */
export interface IdleConnections {
  /** How many there are: fewer than asked for where some were refused. */
  readonly open: number;
  readonly end: () => Promise<void>;
}

export async function idleConnections(url: string, count: number): Promise<IdleConnections> {
  const script = join(import.meta.dirname, 'clients', 'idle-connections.js');
  const child = spawn(process.execPath, [script, url, `${count}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const [line] = (await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    exited.then(() => ['0']),
  ])) as [string];
  return {
    open: Number(line),
    end: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
