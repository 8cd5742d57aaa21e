import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  Daemon,
  type ExitStatus,
  mainPath,
  plainEnvironment,
  repoRoot,
  signalPid,
} from '../support/process.js';

export interface RunOptions {
  /** After the script: `['check', '--json']`. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Run as this user and group. */
  readonly uid?: number;
  /** A command that is given node and the script to run: `['taskset', '-c', '0']`. */
  readonly under?: readonly string[];
}

export interface Ran extends ExitStatus {
  readonly stdout: string;
  readonly stderr: string;
  /** Of both streams, without empty ones. */
  readonly lines: readonly string[];
  readonly seconds: number;
}

/** Runs rom-agent to its end, and reads its output to its end. Past `limit` ms it is killed: then `signal` tells. */
export function run(t: TestContext, options: RunOptions, limit = 120_000): Promise<Ran> {
  const started = performance.now();
  const child = start(options);
  const killer = setTimeout(() => killGroup(child), limit);
  t.after(() => killGroup(child));
  const output = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(killer);
      const lines = `${output.stdout}\n${output.stderr}`.split('\n').filter((line) => line.trim() !== '');
      resolve({ code, signal, ...output, lines, seconds: (performance.now() - started) / 1000 });
    });
  });
}

/** As startDaemon, under another command. */
export function startUnder(t: TestContext, options: RunOptions): Daemon {
  const daemon = new Daemon(start(options));
  t.after(() => daemon.killGroup('SIGKILL'));
  return daemon;
}

/** `rom-agent serve` on a terminal of its own, by means of script(1): the daemon is script. */
export function startOnTerminal(t: TestContext, env: Readonly<Record<string, string>>): Daemon {
  const command = `exec '${process.execPath}' '${mainPath}' serve`;
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: repoRoot,
    env: { ...plainEnvironment(), TERM: 'xterm', ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // The terminal goes with script, and SIGHUP ends the daemon.
  t.after(() => killGroup(child));
  return new Daemon(child);
}

/** Whether PATH has such a command. */
export function hasCommand(name: string): boolean {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.some((folder) => existsSync(join(folder, name)));
}

export const isRoot: boolean = process.getuid?.() === 0;

function start({ args, env = {}, cwd = repoRoot, uid, under = [] }: RunOptions): ChildProcess {
  const [command = process.execPath, ...rest] = [...under, process.execPath, mainPath, ...args];
  return spawn(command, rest, {
    cwd,
    env: { ...plainEnvironment(), ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid !== undefined) signalPid(-pid, 'SIGKILL');
}
