import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plainEnvironment, signalPid } from './process.js';
import { waitFor } from './wait.js';

/** Why tests with Redis cannot run here; false: they can. */
export const noRedis: string | false =
  spawnSync('redis-server', ['--version']).status === 0
    ? false
    : "there is no redis-server: Debian's package redis-server has it";

export interface RedisServer {
  /** `unix:///...` */
  readonly url: string;
  readonly directory: string;
  readonly pid: () => number;
  /** kill -9, as a crash. */
  kill(): Promise<void>;
  /** Again, with the data that it has on disk. */
  start(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Is run before it is ended with the test. */
  before(hook: () => void | Promise<void>): void;
  stop(): Promise<void>;
}

export interface RedisOptions {
  readonly t?: { after(hook: () => void | Promise<void>): void };
  /** Lines of redis.conf beside those below. */
  readonly conf?: readonly string[];
  /** What runs it, such as `ip netns exec NAME`. */
  readonly within?: readonly string[];
}

/** A Redis of its own on a unix socket in a directory of its own, which keeps what it has acknowledged. */
export async function startRedis({ t, conf = [], within = [] }: RedisOptions = {}): Promise<RedisServer> {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-redis-'));
  const socket = join(directory, 'redis.sock');
  const file = join(directory, 'redis.conf');
  writeFileSync(
    file,
    [
      'port 0',
      `unixsocket ${socket}`,
      `dir ${directory}`,
      'save ""',
      'appendonly yes',
      // everysec: while a flush is slow, up to 2 s of what was acknowledged are not even written.
      'appendfsync always',
      'maxmemory-policy noeviction',
      `logfile ${join(directory, 'redis.log')}`,
      ...conf,
      '',
    ].join('\n'),
  );
  let child: ChildProcess | null = null;
  const start = async (): Promise<void> => {
    rmSync(socket, { force: true });
    const [program = 'redis-server', ...args] = [...within, 'redis-server', file];
    child = spawn(program, args, { env: plainEnvironment(), stdio: 'ignore', detached: true });
    await waitFor('redis-server', () => existsSync(socket) && connects(socket));
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    await gone;
  };
  process.once('exit', () => void (child?.pid !== undefined && signalPid(child.pid, 'SIGKILL')));
  const hooks: (() => void | Promise<void>)[] = [];
  t?.after(async () => {
    for (const hook of hooks) await hook();
    await end('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  await start();
  return {
    url: `unix://${socket}`,
    directory,
    pid: () => child?.pid ?? 0,
    kill: () => end('SIGKILL'),
    start,
    signal: (signal) => void child?.kill(signal),
    before: (hook) => void hooks.push(hook),
    stop: async () => {
      await end('SIGTERM');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function connects(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
