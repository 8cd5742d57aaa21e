import { spawn } from 'node:child_process';
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import {
  type FromNext,
  parseFromNext,
  type TakeOver,
  type ToNext,
  takeOverVariable,
} from '../../protocol/upgrade.js';
import { type LineChannel, lineChannel } from './line-channel.js';

/** The process that is to take the place of this one. */
export interface NextMaster {
  send(message: ToNext): void;
  kill(pid: number): void;
}

export interface NextMasterOptions {
  /** The Node.js that runs it: an absolute path. */
  readonly node: string;
  readonly listeners: TakeOver['listeners'];
  readonly passed: TakeOver['passed'];
  readonly onMessage: (message: FromNext) => void;
  /** It has ended, or never began. */
  readonly onGone: () => void;
}

/**
 * Starts it with the arguments of this process and with its sockets. A shell does it that ends at once: the next master is
 * then a child of the service manager, which learns so how it ends. systemd says of any other main process that it will
 * most likely not notice when that exits, and it does so only once the parent has exited (measured with systemd 252).
 */
export function startNextMaster(options: NextMasterOptions): NextMaster {
  const { node, listeners, passed, onMessage, onGone } = options;
  const firstFd = 4;
  const all = [...listeners, ...passed];
  const renamed = all.map(({ name }, index) => ({ name, fd: firstFd + index }));
  const takeOver: TakeOver = {
    channel: 3,
    listeners: renamed.slice(0, listeners.length),
    passed: renamed.slice(listeners.length),
  };
  const [, main = '', ...rest] = process.argv;
  const child = spawn('/bin/sh', ['-c', '"$@" <&0 &', 'sh', node, ...process.execArgv, main, ...rest], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe', ...all.map(({ fd }) => fd)],
    env: { ...environment(), [takeOverVariable]: JSON.stringify(takeOver) },
  });
  let isOver = false;
  const over = (): void => {
    if (!isOver) onGone();
    isOver = true;
  };
  let channel: LineChannel | null = null;
  child.once('error', over);
  const socket = child.stdio[3] as Duplex | null | undefined;
  if (socket)
    channel = lineChannel(socket, {
      onLine: (line) => {
        const message = parseFromNext(line);
        if (message !== null) onMessage(message);
      },
      onGone: over,
    });
  return {
    send: (message) => channel?.send(message),
    kill: (pid) => {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It is gone.
      }
    },
  };
}

/** What names this process would be wrong for another one: sd_notify(3), sd_listen_fds(3), systemd.exec(5). */
function environment(): NodeJS.ProcessEnv {
  const { WATCHDOG_PID, LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, SYSTEMD_EXEC_PID, ...env } = process.env;
  return env;
}

/**
 * Which program runs the next master. Whoever may use the control socket must not thereby run programs of his own as the
 * user of the service: the file and its directory have to belong to root or to that user, and nobody else may write them.
 *
 * @returns its path, or what is wrong with it
 */
export function chooseNode(
  wanted: string | undefined,
): { readonly path: string } | { readonly reason: string } {
  // By the name that it was started with: a link may lead to another version by now. The real path is that of this one.
  const given = wanted ?? (process.argv0.startsWith('/') ? process.argv0 : process.execPath);
  const expected =
    'expected the absolute path of a Node.js that root or the service owns, and nobody else may write';
  const unfit = (what: string) => ({ reason: `node: ${JSON.stringify(given)} ${what}; ${expected}` });
  if (!given.startsWith('/') || given.includes('\0')) return unfit('is no absolute path');
  try {
    const path = realpathSync(given);
    accessSync(path, constants.X_OK);
    const own = process.getuid?.() ?? 0;
    for (const each of [path, dirname(path)]) {
      const { uid, mode } = statSync(each);
      if (wanted !== undefined && ((uid !== 0 && uid !== own) || (mode & 0o022) !== 0))
        return unfit(`can be changed by others (${each})`);
    }
    if (!statSync(path).isFile()) return unfit('is no file');
    return { path: given };
  } catch (error) {
    return unfit(`cannot be used (${(error as NodeJS.ErrnoException).code})`);
  }
}
