import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, totalmem, userInfo } from 'node:os';
import { connectControl } from '../control/client.js';
import { RomAgentError } from '../errors.js';
import { portHolder } from '../processes.js';
import { canReap } from '../service-manager/adopted-children.js';
import { requireAddon } from '../service-manager/detect.js';
import type { DaemonFacts, DoctorSeam, Space, Stats } from './facts.js';

/** The machine that this process runs on. */
export function systemSeam(): DoctorSeam {
  const { platform, versions, execPath } = process;
  return {
    now: Date.now(),
    platform,
    nodeVersion: versions.node,
    execPath,
    uid: process.geteuid?.() ?? 0,
    gids: process.getgroups?.() ?? [],
    userName: userName(),
    readFile: (path) => readFileSync(path, 'utf8'),
    availableParallelism,
    totalmem,
    run,
    stat: statsOf,
    mayAccess,
    realpath: (path) => attempt(() => realpathSync(path)) ?? path,
    space: spaceOf,
    tryListen,
    portHolder: (port) => portHolder(port),
    ask: askDaemon,
    // Only a fleet loads the client of Redis.
    probeRedis: async (fleet) => (await import('../backplane/redis/probe.js')).probeRedis(fleet),
    canReap,
    loadAddon: () => requireAddon({ platform, env: process.env, onProblem: () => {} }),
  };
}

/** A program that hangs is one that does not answer. ms */
const patience = 10_000;

function run(file: string, args: readonly string[]): Promise<string | null> {
  // Of what is translated or coloured nothing could be read.
  const env = { ...process.env, LC_ALL: 'C', SYSTEMD_COLORS: '0', SYSTEMD_PAGER: '' };
  return new Promise((resolve) => {
    execFile(file, [...args], { env, timeout: patience, maxBuffer: 2 ** 22 }, (error, stdout) =>
      resolve(error === null ? stdout : null),
    );
  });
}

function statsOf(path: string): Stats | null {
  return attempt(() => {
    const stats = statSync(path);
    const { uid, gid, mode } = stats;
    return { uid, gid, mode, isDirectory: stats.isDirectory() };
  });
}

function mayAccess(path: string, need: 'read' | 'write'): boolean {
  const mode = need === 'read' ? constants.R_OK : constants.W_OK;
  return attempt(() => accessSync(path, mode) ?? true) ?? false;
}

function spaceOf(path: string): Space | null {
  return attempt(() => {
    const { bavail, bsize, files, ffree } = statfsSync(path);
    return { bytes: bavail * bsize, inodes: files === 0 ? Number.POSITIVE_INFINITY : ffree };
  });
}

/** As the daemon would, for as short as can be: who holds the port, or has it kept from us, cannot be told otherwise. */
function tryListen({ port, host }: { port: number; host: string | null }): Promise<string | null> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, exclusive: true, ...(host === null ? {} : { host }) }, () =>
      server.close(() => resolve(null)),
    );
  });
}

/** An account without an entry in passwd(5), as containers have them, has a number only. */
function userName(): string {
  return attempt(() => userInfo().username) ?? `uid ${process.geteuid?.()}`;
}

function attempt<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}

/** A daemon that is well answers within milliseconds. */
const daemonPatience = 3_000;

/** Who answers at a control socket. Nothing of it is changed. */
export async function askDaemon(path: string): Promise<DaemonFacts> {
  const client = connectControl({ path, timeout: daemonPatience });
  try {
    const [stats, settings] = await Promise.all([client.status(), client.config()]);
    const { master, workers } = stats;
    const pids = [master.pid, ...workers.flatMap(({ pid }) => (pid === null ? [] : [pid]))];
    const { pid, version, node } = master;
    const times = workers.flatMap(({ keepAliveTimeoutMs: time }) => (time === undefined ? [] : [time]));
    const keepAliveTimeoutMs = times.length === 0 ? null : Math.min(...times);
    return { state: 'runs', pid, pids, version, node, keepAliveTimeoutMs, settings };
  } catch (error) {
    if (!(error instanceof RomAgentError)) throw error;
    if (isNobody(error.cause)) return { state: 'none' };
    return { state: 'unknown', why: error.message };
  }
}

/** No socket, or none behind which anybody listens. */
function isNobody(cause: unknown): boolean {
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ECONNREFUSED';
}
