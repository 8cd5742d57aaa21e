import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, readlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { descendants } from '../../support/proc.js';
import { plainEnvironment, signalPid } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { cpuTime, pss } from '../load/proc-figures.js';

/** How long any step of a peer may take, ms. */
export const patience = 120_000;

/** A node that a peer runs: a copy of the binary that nobody else runs, whose pages are then no one else's (see PSS). */
export interface NodeBinary {
  readonly major: number;
  readonly version: string;
  readonly path: string;
}

export interface Processes {
  readonly master: readonly number[];
  readonly workers: readonly number[];
}

/** A peer that serves an app. */
export interface Service {
  readonly port: number;
  readonly path: string;
  /** From just before the spawn to the first answer, ms. */
  readonly tookToAnswer: number;
  /** From just before the spawn to its own word that all workers listen, ms; null for one that has none. */
  readonly tookToReady: () => Promise<number> | null;
  readonly processes: () => Promise<Processes>;
  /** Whether the CPU time of its workers is that of processes: the threads of one are not told apart. */
  readonly apart: boolean;
  /** By the command that its operator types; resolves with what that took, ms. Null where it has none. */
  readonly reload: (() => Promise<number>) | null;
  readonly stop: () => Promise<void>;
}

export interface Cpu {
  /** ms */
  readonly master: number;
  /** ms */
  readonly workers: number;
}

/** What the threads of a service have run so far. */
export function cpuOf({ master, workers }: Processes): Cpu {
  return { master: cpuTime(master), workers: cpuTime(workers) };
}

/** MB (1,000,000 bytes) of PSS. */
export function memoryOf({ master, workers }: Processes): { readonly all: number; readonly master: number } {
  const megabytes = (pids: readonly number[]) => (pss(pids) * 1024) / 1e6;
  return { all: megabytes([...master, ...workers]), master: megabytes(master) };
}

export interface Command {
  readonly node: NodeBinary;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Has its log, and is where it runs: a .env of the repository is none of its. */
  readonly folder: string;
}

export interface Spawned {
  readonly pid: number;
  readonly startedAt: number;
  readonly log: () => string;
  readonly ended: () => boolean;
  readonly stop: () => Promise<void>;
}

/** As a process group of its own, with its output in a file: what reads it is then no part of the figures. */
export function start({ node, args, env, folder }: Command): Spawned {
  const file = join(folder, 'output.log');
  const output = openSync(file, 'a');
  const startedAt = performance.now();
  const child = spawn(node.path, args, {
    cwd: folder,
    env: environment(env, node),
    detached: true,
    stdio: ['ignore', output, output],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${node.path} did not start`);
  running.add(pid);
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  return {
    pid,
    startedAt,
    log: () => readFileSync(file, 'utf8'),
    ended,
    stop: async () => {
      if (!ended()) {
        const exited = once(child, 'exit', { signal: AbortSignal.timeout(30_000) }).catch(() => {});
        signalPid(pid, 'SIGTERM');
        await exited;
      }
      signalPid(-pid, 'SIGKILL');
      running.delete(pid);
    },
  };
}

/**
 * Runs a command of a peer to its end.
 *
 * @returns what it took, ms
 * @throws Error where it failed, with what it said
 */
export async function run({ node, args, env, folder }: Command): Promise<number> {
  const begun = performance.now();
  const options = { cwd: folder, env: environment(env, node), timeout: patience, maxBuffer: 2 ** 26 };
  try {
    await promisify(execFile)(node.path, [...args], options);
  } catch (cause) {
    const { message, stdout, stderr } = cause as Error & { stdout: string; stderr: string };
    throw new Error(`${message.trim()}\n${stdout}${stderr}`, { cause });
  }
  return performance.now() - begun;
}

function environment(env: Readonly<Record<string, string>>, node: NodeBinary): Record<string, string> {
  const plain = plainEnvironment();
  const folder = join(node.path, '..');
  return { ...plain, NODE_ENV: 'production', ...env, PATH: `${folder}:${plain.PATH}` };
}

/** Below `pid`, and the process itself: workers are those that run this node and are no helpers of the master. */
export async function treeOf(pid: number, node: NodeBinary): Promise<Processes> {
  const below = await descendants(pid);
  const workers = below.filter((one) => executable(one) === node.path);
  return { master: [pid, ...below.filter((one) => !workers.includes(one))], workers };
}

function executable(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return '';
  }
}

/** When the first answer with status 200 came, on the clock of performance.now(). */
export async function firstAnswer(
  { port, path }: { port: number; path: string },
  failed: () => string | null,
): Promise<number> {
  const deadline = performance.now() + patience;
  while (performance.now() < deadline) {
    if (await answers(port, path)) return performance.now();
    const why = failed();
    if (why !== null) throw new Error(why);
    await sleep(2);
  }
  throw new Error(`no answer on port ${port} within ${patience} ms`);
}

function answers(port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const end = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.on('connect', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n`),
    );
    socket.on('data', (chunk) => end(/^HTTP\/1\.1 200/.test(chunk.toString('latin1'))));
    socket.on('error', () => end(false)).on('close', () => end(false));
  });
}

/** Waits until there are so many workers. */
export function workersThere(processes: () => Promise<Processes>, count: number): Promise<Processes> {
  return waitFor(`${count} workers`, processes, {
    timeout: patience,
    until: ({ workers }) => workers.length === count,
  });
}

const running = new Set<number>();

// The process groups are their own, so that a Ctrl-C reaches only us.
process.on('exit', () => {
  for (const pid of running) signalPid(-pid, 'SIGKILL');
});
