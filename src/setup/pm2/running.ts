import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { exitCodes, RomAgentError } from '../../errors.js';
import { isAlive, openSockets, parseProcStat, tcpListeners } from '../../processes.js';
import { appsOfList, type Ecosystem, type Pm2App } from './apps.js';
import type { Seen } from './convert.js';

/** A daemon of PM2 that runs. */
export interface Pm2Daemon {
  readonly pid: number;
  /** Its PM2_HOME. */
  readonly home: string;
  readonly uid: number;
  readonly gid: number;
  /** The environment that it was started with, as far as it may be read. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The daemon of PM2_HOME or, where that is not set, the one that runs on this machine.
 *
 * @throws RomAgentError exit 64 where several run; null where none does
 */
export function findPm2(env: NodeJS.ProcessEnv, home: string, proc = '/proc'): Pm2Daemon | null {
  if (env.PM2_HOME) return daemonIn(env.PM2_HOME, proc);
  const running = listed(proc).flatMap((pid) => daemonAt(Number(pid), proc) ?? []);
  if (running.length > 1)
    throw new RomAgentError(
      `several daemons of PM2 run: set PM2_HOME to one of ${running.map(({ home }) => home).join(', ')}`,
      { exitCode: exitCodes.usage },
    );
  return running[0] ?? daemonIn(join(home, '.pm2'), proc);
}

/** By its pid file, which every platform has. */
function daemonIn(home: string, proc: string): Pm2Daemon | null {
  try {
    const pid = Number(readFileSync(join(home, 'pm2.pid'), 'utf8'));
    if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return null;
    const { uid, gid } = statSync(home);
    return { pid, home, uid, gid, env: environmentOf(pid, proc) };
  } catch {
    return null;
  }
}

/** By the title that PM2 gives its daemon, with its home in parentheses. */
function daemonAt(pid: number, proc: string): Pm2Daemon | null {
  const title = text(`${proc}/${pid}/cmdline`).replaceAll('\0', ' ');
  const home = /^PM2 v\S+: God Daemon \((\/[^)]*)\)/.exec(title)?.[1];
  if (home === undefined) return null;
  const found = daemonIn(home, proc);
  // Not one of a container or of another chroot, whose home is not here.
  return found?.pid === pid ? found : null;
}

function environmentOf(pid: number, proc: string): Record<string, string> {
  const entries = text(`${proc}/${pid}/environ`)
    .split('\0')
    .flatMap((entry) => {
      const at = entry.indexOf('=');
      return at < 1 ? [] : [[entry.slice(0, at), entry.slice(at + 1)] as const];
    });
  return Object.fromEntries(entries);
}

/** PM2, asked and told by its own module, as the user whose it is. */
export interface Pm2Client {
  /** What `pm2 jlist` prints. @throws RomAgentError */
  list(): Promise<Ecosystem>;
  /** Resolves when PM2 has stopped its processes. @throws RomAgentError */
  stop(name: string): Promise<void>;
  /** Starts what was stopped. @throws RomAgentError */
  start(name: string): Promise<void>;
  close(): void;
}

/** @throws RomAgentError exit 69 where PM2 does not answer */
export async function connectPm2(daemon: Pm2Daemon): Promise<Pm2Client> {
  const folder = moduleOf(daemon);
  const { uid, gid, home, env } = daemon;
  const isOther = process.getuid?.() === 0 && uid !== 0;
  const child = spawn(process.execPath, ['-e', driver, folder], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    cwd: '/',
    env: { PATH: env.PATH ?? process.env.PATH, HOME: env.HOME ?? dirname(home), PM2_HOME: home },
    ...(isOther ? { uid, gid } : {}),
  });
  const asked = asking(child);
  await asked('connect');
  return {
    list: async () => {
      const found = appsOfList(await asked('list'), home);
      if (found === null) throw failed('PM2 lists no processes');
      return found;
    },
    stop: async (name) => void (await asked('stop', name)),
    start: async (name) => void (await asked('restart', name)),
    close: () => void child.kill('SIGKILL'),
  };
}

/** Calls the functions of PM2's module that it is told to, one after the other. */
const driver = `const pm2 = require(process.argv[1]);
process.on('message', ({ id, verb, given }) => {
  pm2[verb](...given, (error, result) => process.send({ id, error: error ? String(error.message ?? error) : null, result: verb === 'list' ? result : null }));
});
process.on('disconnect', () => process.exit());`;

interface Reply {
  readonly id: number;
  readonly error: string | null;
  readonly result: unknown;
}

function asking(child: ChildProcess): (verb: string, ...given: string[]) => Promise<unknown> {
  let last = 0;
  const errors: string[] = [];
  child.stderr?.on('data', (chunk: Buffer) => errors.push(String(chunk)));
  const waiting = new Map<number, (reply: Reply) => void>();
  child.on('message', (reply: Reply) => waiting.get(reply.id)?.(reply));
  const ended = new Promise<never>((_, reject) => {
    child.once('error', (error) => reject(failed(`cannot run the module of PM2: ${error.message}`)));
    child.once('exit', () => {
      const reason = /^\w*Error.*$/m.exec(errors.join(''))?.[0] ?? 'it ended';
      reject(failed(`cannot run the module of PM2: ${reason}`));
    });
  });
  ended.catch(() => {});
  return (verb, ...given) => {
    const id = ++last;
    const answered = new Promise<unknown>((resolve, reject) => {
      waiting.set(id, ({ error, result }) => {
        if (error === null) return resolve(result);
        reject(failed(`pm2 ${[verb, ...given].join(' ')}: ${error}`));
      });
      child.send({ id, verb, given }, () => {});
    });
    return Promise.race([answered, ended]);
  };
}

/** The folder of the package `pm2`, found by the program of that name where its daemon found it. */
function moduleOf({ pid, env }: Pm2Daemon): string {
  const ofDaemon = nodeOf(pid);
  const paths = [
    ...`${env.PATH ?? ''}${delimiter}${process.env.PATH ?? ''}`.split(delimiter),
    ...(ofDaemon === null ? [] : [dirname(ofDaemon)]),
  ];
  const candidates = [...paths.map((path) => join(path, 'pm2')), env._ ?? ''];
  for (const candidate of candidates) {
    const folder = candidate === '' ? null : packageOf(candidate);
    if (folder !== null) return folder;
  }
  throw failed(
    'PM2 runs, but the program pm2 is neither in its PATH nor in this one: add its folder to PATH',
  );
}

function packageOf(program: string): string | null {
  try {
    const folder = dirname(dirname(realpathSync(program)));
    const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown };
    return name === 'pm2' && existsSync(join(folder, 'index.js')) ? folder : null;
  } catch {
    return null;
  }
}

function nodeOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return null;
  }
}

/**
 * What can be seen of an app's processes: where they listen, and who they run as. In cluster mode the daemon of PM2 holds
 * the ports; those that `known` has no other owner for are this app's.
 */
export function lookAt(app: Pm2App, { isCluster, known, daemon, proc = '/proc' }: Looking): Seen {
  if (app.pids === null || app.pids.length === 0 || !existsSync(`${proc}/self`))
    return { ports: null, user: null };
  const holders = isCluster ? [daemon.pid] : withChildren(app.pids, proc);
  const inodes = new Set(holders.flatMap((pid) => [...openSockets(`${proc}/${pid}`)]));
  const listeners = [...tcpListeners(`${proc}/${app.pids[0]}/net`)].filter(({ inode }) => inodes.has(inode));
  const ports = [...new Set(listeners.map(({ port }) => port))].sort((one, other) => one - other);
  const free = ports.filter((port) => !isCluster || !known.has(port));
  return { ports: isCluster && free.length !== 1 ? null : free, user: userOf(app.pids[0] ?? 0, proc) };
}

export interface Looking {
  readonly isCluster: boolean;
  /** Ports that other apps are configured for. */
  readonly known: ReadonlySet<number>;
  readonly daemon: Pm2Daemon;
  readonly proc?: string;
}

/** The name of who a process runs as; null for root. */
function userOf(pid: number, proc: string): string | null {
  const uid = /^Uid:\t(\d+)/m.exec(text(`${proc}/${pid}/status`))?.[1];
  if (uid === undefined || uid === '0') return null;
  const entry = text('/etc/passwd')
    .split('\n')
    .find((line) => line.split(':')[2] === uid);
  return entry?.split(':')[0] ?? uid;
}

function withChildren(pids: readonly number[], proc: string): readonly number[] {
  const parents = listed(proc).map((pid): readonly [number, number] => {
    return [Number(pid), parseProcStat(text(`${proc}/${pid}/stat`)).parent];
  });
  const all = new Set(pids);
  for (let size = 0; size !== all.size; ) {
    size = all.size;
    for (const [pid, parent] of parents) if (all.has(parent)) all.add(pid);
  }
  return [...all];
}

function listed(proc: string): readonly string[] {
  try {
    return readdirSync(proc).filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function failed(message: string): RomAgentError {
  return new RomAgentError(message, { exitCode: exitCodes.addressInUse });
}
