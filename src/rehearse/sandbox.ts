import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Loaded } from '../config/load.js';
import { allProcesses, kill, signalGroup, withEnvironment } from '../processes.js';
import { type InEffect, type Key, keys, settingOf, variablesOf } from '../settings/settings.js';
import { startGuard } from './guard.js';
import type { Target } from './load.js';
import {
  aloneVariable,
  environmentFile,
  type Order,
  ordersSocket,
  parseReports,
  type Report,
  reportsFile,
  sandboxVariable,
} from './reports.js';

/** A folder in which an app runs that touches no service of this host, and the ways to its processes. */
export interface Sandbox {
  readonly folder: string;
  /** Where the app under the daemon answers. */
  readonly target: Target;
  readonly controlSocket: string;
  /** Starts the daemon. */
  startDaemon(): Running;
  /** Runs the app as `node` does, without a daemon. */
  startAlone(port: number): Running;
  /** What the processes of the app have told so far. */
  reports(): readonly Report[];
  /** Has a process of the app do something. Resolves with its answer; null where it is gone, or does not answer in time. */
  order(pid: number, order: Order, within?: number): Promise<unknown>;
  /** Processes that were started in it and still run (Linux; elsewhere none is found). */
  left(): Promise<readonly number[]>;
  /** Kills what is left, and removes the folder. */
  end(): Promise<void>;
}

export interface Running {
  readonly pid: number;
  /** The last lines that it wrote. */
  readonly lines: readonly string[];
  readonly exit: Promise<Exit>;
  /** null while it runs. */
  readonly ended: () => Exit | null;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface SandboxInput {
  readonly loaded: Loaded;
  /** The script of this program. */
  readonly script: string;
  readonly env: NodeJS.ProcessEnv;
  readonly workers: number;
  /** A draining worker that has not ended by then never would, ms. */
  readonly drainTimeoutMs: number;
  /** Where the app runs. */
  readonly workingDirectory: string;
  /** Variables that the app is to find instead of those of `env`. */
  readonly replaced: Readonly<Record<string, string>>;
}

/** Settings that concern the app, and are as the configuration has them. All others are those of the sandbox. */
const taken = [
  'app',
  'args',
  'node_env',
  'host',
  'dispatch',
  'balance',
  'sticky',
  'sticky_cookie',
  'max_old_space_size',
  'max_semi_space_size',
  'boot_timeout',
  'linger',
  'hang_timeout',
  'websockets',
  'routes_prefix',
  'start.probe',
  'health.probe',
  'memory.max_heap',
] as const satisfies readonly Key[];

const keptLines = 2_000;

export async function createSandbox(input: SandboxInput): Promise<Sandbox> {
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-rehearsal-'));
  const { config } = input.loaded;
  const host = config.host === null || config.host.startsWith('/') ? '127.0.0.1' : config.host;
  const port = await freePort(host);
  const target = { host, port };
  const preload = fileURLToPath(new URL('../rehearse/preload.js', import.meta.url));
  writeFileSync(join(folder, 'rom-agent.toml'), toml(settingsFor(input, { folder, port, preload })));
  writeFileSync(join(folder, environmentFile), JSON.stringify(apart(input)));
  writeFileSync(join(folder, reportsFile), '');
  const orders = await openOrders(join(folder, ordersSocket));
  const guard = startGuard({ variable: sandboxVariable, folder });
  const children: ChildProcess[] = [];
  const run = (
    args: readonly string[],
    { cwd, env }: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
  ) => {
    // A group of its own: Ctrl-C at the terminal is ours alone.
    const child = spawn(process.execPath, args, {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    children.push(child);
    const { pid } = child;
    if (pid !== undefined) {
      guard.watch(pid);
      child.once('exit', () => guard.forget(pid));
    }
    return running(child);
  };
  const env = { ...config.dotenv, ...surroundings(input), [sandboxVariable]: folder };
  const left = async (): Promise<readonly number[]> => {
    const all = await allProcesses().catch(() => []);
    return withEnvironment(`${sandboxVariable}=${folder}`, all);
  };
  return {
    folder,
    target,
    controlSocket: join(folder, 'control.sock'),
    startDaemon: () =>
      run([input.script, 'serve', '--config', join(folder, 'rom-agent.toml')], {
        cwd: folder,
        env: { ...env, PWD: folder },
      }),
    startAlone: (alone) => {
      const { workingDirectory: cwd } = input;
      return run([`--require=${preload}`, ...config.nodeArgs, String(config.app), ...config.args], {
        cwd,
        env: { ...env, PWD: cwd, PORT: String(alone), NODE_ENV: config.nodeEnv, [aloneVariable]: '1' },
      });
    },
    reports: () => parseReports(readFileSync(join(folder, reportsFile), 'utf8')),
    order: orders.give,
    left,
    end: async () => {
      for (const { pid } of children) if (pid !== undefined) signalGroup(pid, 'SIGKILL');
      for (const pid of await left()) kill(pid);
      orders.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
      guard.dismiss();
    },
  };
}

interface Place {
  readonly folder: string;
  readonly port: number;
  readonly preload: string;
}

type Settings = { readonly [K in Key]?: InEffect<K> | null };

function settingsFor(
  { loaded, workers, workingDirectory, drainTimeoutMs }: SandboxInput,
  { folder, port, preload }: Place,
): Settings {
  const { effective, origins, config } = loaded;
  const own = taken.filter((key) => !origins[key].startsWith('default'));
  const given = Object.fromEntries(own.map((key) => [key, effective[key].value]));
  return {
    ...given,
    ...(config.host?.startsWith('/') ? { host: null } : {}),
    node_args: [`--require=${preload}`, ...config.nodeArgs],
    working_directory: workingDirectory,
    port,
    workers,
    drain_timeout: drainTimeoutMs,
    control_socket: join(folder, 'control.sock'),
    state_dir: join(folder, 'state'),
    redact: 'off',
    'log.format': 'json',
    'log.stats_interval': 0,
    // What a rehearsal does to workers is no reason to give up.
    'restart.intensity': 1_000,
    'health.slow_limit': 0,
    'health.stall_report': 200,
    'metrics.enabled': 'off',
  };
}

function toml(settings: Settings): string {
  return Object.entries(settings)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => `${key} = ${settingOf(key as Key).kind.literal(value)}\n`)
    .join('');
}

const ours: ReadonlySet<string> = new Set(keys.flatMap(variablesOf));
/** What says that this process is a service, or runs below one. */
const ofServices: ReadonlySet<string> = new Set([
  ...['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID', 'LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'],
  ...['RUNTIME_DIRECTORY', 'STATE_DIRECTORY', 'JOURNAL_STREAM', 'INVOCATION_ID', 'pm_id', 'XPC_SERVICE_NAME'],
  ...[
    'ROM_AGENT_CONFIG',
    'ROM_AGENT_SUPERVISOR',
    'ROM_AGENT_OUTPUT',
    'ROM_AGENT_WORKER',
    'NODE_UNIQUE_ID',
    'NODE_CHANNEL_FD',
  ],
]);

/** The environment without what the daemon would take for settings, or for a service manager. */
function surroundings({ env, replaced }: SandboxInput): NodeJS.ProcessEnv {
  const all = Object.entries({ ...env, ...replaced });
  return Object.fromEntries(all.filter(([name]) => !ours.has(name) && !ofServices.has(name)));
}

/** Variables that the app has in common with the daemon, such as REDIS_URL; PORT and the like come from the daemon. */
function apart({ env, replaced, loaded }: SandboxInput): Readonly<Record<string, string | undefined>> {
  const all = Object.entries({ ...loaded.config.dotenv, ...env, ...replaced });
  const set: ReadonlySet<string> = new Set(['PORT', 'HOST', 'NODE_ENV']);
  return Object.fromEntries(
    all.filter(([name]) => ours.has(name) && !set.has(name) && !name.startsWith('ROM_AGENT_')),
  );
}

function running(child: ChildProcess): Running {
  const lines: string[] = [];
  const keep = (line: string): void => {
    lines.push(line);
    if (lines.length > keptLines) lines.shift();
  };
  for (const stream of [child.stdout, child.stderr])
    if (stream !== null) createInterface({ input: stream }).on('line', keep);
  let ended: Exit | null = null;
  const exit = new Promise<Exit>((resolve) => {
    child.once('error', (error) => keep(error.message));
    child.once('exit', (code, signal) => {
      ended = { code, signal };
      resolve(ended);
    });
  });
  return { pid: child.pid ?? 0, lines, exit, ended: () => ended };
}

interface Orders {
  give(pid: number, order: Order, within?: number): Promise<unknown>;
  close(): void;
}

/** How long an answer to an order may take, ms. */
const patience = 30_000;

function openOrders(path: string): Promise<Orders> {
  const sockets = new Map<number, Socket>();
  const waiting = new Map<number, (result: unknown) => void>();
  let last = 0;
  const server = createServer((socket) => {
    let pid = 0;
    const input = createInterface({ input: socket });
    input.on('line', (line) => {
      const told = JSON.parse(line) as { pid?: number; id?: number; result?: unknown };
      if (told.pid !== undefined) {
        pid = told.pid;
        sockets.set(pid, socket);
      } else if (told.id !== undefined) waiting.get(told.id)?.(told.result);
    });
    input.on('error', () => {});
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(pid));
  });
  const give: Orders['give'] = (pid, order, within = patience) =>
    new Promise((resolve) => {
      const socket = sockets.get(pid);
      if (socket === undefined) return resolve(null);
      const id = ++last;
      const done = (result: unknown): void => {
        clearTimeout(late);
        socket.off('close', gone);
        waiting.delete(id);
        resolve(result);
      };
      const gone = (): void => done(null);
      const late = setTimeout(gone, within);
      socket.once('close', gone);
      waiting.set(id, done);
      socket.write(`${JSON.stringify({ ...order, id })}\n`);
    });
  const close = (): void => {
    server.close();
    for (const socket of sockets.values()) socket.destroy();
  };
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve({ give, close }));
  });
}

/** A port that nobody listens on at this moment. */
export function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
