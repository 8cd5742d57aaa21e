import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { descendants, groupMembers } from './proc.js';
import { waitFor } from './wait.js';

/** The repository: the nearest folder above this file with the sources' tsconfig; ROM_AGENT_ROOT overrides it. */
export const repoRoot: string = process.env.ROM_AGENT_ROOT ?? above(dirname(fileURLToPath(import.meta.url)));

/** What `rom-agent` runs, built by `npm run build`. */
export const mainPath: string = join(repoRoot, 'dist', 'cli', 'main.js');

/** The folder of fixture apps, in the sources: they are not compiled. */
export const fixtures: string = join(repoRoot, 'test', 'fixtures');

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartOptions {
  /** With it, what is left of the process group is killed at the end of the test. */
  readonly t?: { after(hook: () => void): void };
  /** After the script: `['serve', '--port', '0']`. */
  readonly args: readonly string[];
  /** Added to PATH, HOME, LANG and TMPDIR: nothing else of this process's environment gets through. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The script, `dist/cli/main.js` unless told. */
  readonly script?: string;
  /** Flags of node itself. */
  readonly nodeArgs?: readonly string[];
  /** The node that runs it, this one unless told. */
  readonly node?: string;
}

/** A daemon under test: the leader of a process group of its own, as a service manager would start it. */
export class Daemon {
  /** Every line so far, of both streams in the order of arrival. */
  readonly lines: string[] = [];
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  readonly pid: number;
  /** Resolves when the process is gone and its output is read; orphans that hold it open are waited for a second. */
  readonly exit: Promise<ExitStatus>;
  #status: ExitStatus | null = null;

  constructor(child: ChildProcess) {
    if (child.pid === undefined) throw new Error(`${child.spawnfile} did not start`);
    this.pid = child.pid;
    const read = Promise.all([
      this.#collect(child.stdout, this.stdout),
      this.#collect(child.stderr, this.stderr),
    ]);
    this.exit = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        const late = setTimeout(1_000, undefined, { ref: false });
        void Promise.race([read, late]).then(() => {
          this.#status = { code, signal };
          resolve(this.#status);
        });
      });
    });
  }

  /** null while it runs. */
  get status(): ExitStatus | null {
    return this.#status;
  }

  /** The first line, early ones included, that matches. Fails at once when the daemon ends without it. */
  async waitForLine(pattern: RegExp, timeout = 180_000): Promise<string> {
    const find = () => this.lines.find((line) => pattern.test(line));
    await waitFor(`a line ${pattern}`, () => find() ?? (this.#status === null ? null : 'ended'), {
      timeout,
    }).catch((error: Error) => {
      throw new Error(`${error.message}; output:\n${this.output()}`);
    });
    const line = find();
    if (line === undefined)
      throw new Error(`ended ${JSON.stringify(this.#status)} without ${pattern}:\n${this.output()}`);
    return line;
  }

  /** The exit status, or an Error with the output after `timeout` ms. */
  async waitForExit(timeout = 180_000): Promise<ExitStatus> {
    const status = await waitFor('the exit', () => this.#status, { timeout }).catch((error: Error) => {
      throw new Error(`${error.message}; output:\n${this.output()}`);
    });
    return status ?? { code: null, signal: null };
  }

  /** To the master alone, as systemd with KillMode=mixed does. False when it is gone. */
  kill(signal: NodeJS.Signals = 'SIGTERM'): boolean {
    return signalPid(this.pid, signal);
  }

  /** To every process of the group, as a terminal's Ctrl-C does. */
  killGroup(signal: NodeJS.Signals): boolean {
    return signalPid(-this.pid, signal);
  }

  /** PIDs of its children, their children and so on, zombies left out. */
  descendants(): Promise<number[]> {
    return descendants(this.pid);
  }

  /** PIDs of its process group, orphans included, zombies left out: after a kill -9 of the master too. */
  group(): Promise<number[]> {
    return groupMembers(this.pid);
  }

  output(): string {
    return this.lines.join('\n');
  }

  async #collect(stream: Readable | null, into: string[]): Promise<void> {
    if (stream === null) return;
    const lines = createInterface({ input: stream }).on('line', (line) => {
      into.push(line);
      this.lines.push(line);
    });
    await once(lines, 'close');
  }
}

/** Starts `node dist/cli/main.js ...args`. */
export function startDaemon({
  t,
  args,
  env = {},
  cwd = repoRoot,
  script = mainPath,
  nodeArgs = [],
  node = process.execPath,
}: StartOptions): Daemon {
  if (!existsSync(script)) throw new Error(`${script} is missing: build it first (npm run build)`);
  const child = spawn(node, [...nodeArgs, script, ...args], {
    cwd,
    env: { ...plainEnvironment(), ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const daemon = new Daemon(child);
  running.add(daemon);
  t?.after(() => {
    end(daemon);
    // What is in no group of ours, such as a deploy that goes on, may still hold them, and then they hold us.
    child.stdout?.destroy();
    child.stderr?.destroy();
  });
  return daemon;
}

/**
 * PATH, HOME, LANG and TMPDIR of this process: no NOTIFY_SOCKET, PORT, NODE_OPTIONS or the like. A control socket and a
 * history of its own come with it, lest daemons meet.
 */
export function plainEnvironment(): Record<string, string> {
  const names = ['PATH', 'HOME', 'LANG', 'TMPDIR'];
  mkdirSync(places, { recursive: true });
  // Some tests run the daemon as another user.
  chmodSync(places, 0o1777);
  const place = join(places, `${++lastPlace}`);
  return {
    ...Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : []))),
    ROM_AGENT_CONTROL_SOCKET: join(place, 'control.sock'),
    ROM_AGENT_STATE_DIR: join(place, 'state'),
  };
}

/** False when there is no such process any more. */
export function signalPid(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

const running = new Set<Daemon>();
const places = join(tmpdir(), `rom-agent-test-${process.pid}`);
let lastPlace = 0;

function end(daemon: Daemon): void {
  daemon.killGroup('SIGKILL');
  running.delete(daemon);
}

// Detached groups outlive a Ctrl-C of the test run unless they are told.
process.on('exit', () => {
  for (const daemon of running) end(daemon);
  rmSync(places, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

function above(folder: string): string {
  if (existsSync(join(folder, 'tsconfig.json')) && existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('the repository was not found: set ROM_AGENT_ROOT');
  return above(parent);
}
