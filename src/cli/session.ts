import { userInfo } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { systemInput } from '../config/system.js';
import { type ControlClient, connectControl } from '../control/client.js';
import type { exitCodes } from '../errors.js';
import { findControlSocket, isThere } from './control-socket.js';
import { plainClient } from './foreign.js';
import { openTerminal, type Terminal } from './terminal.js';

/** What a command works with that talks to a daemon. */
export interface Session {
  readonly client: ControlClient;
  readonly terminal: Terminal;
  /** Who asks, for the daemon's log and records. */
  readonly by: string;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** From the first call on, Ctrl-C and SIGTERM abort this signal instead of ending the process. */
  readonly interrupted: () => AbortSignal;
  /** Whether there is such a process on this machine. */
  readonly lives: (pid: number) => boolean;
}

/** Ended by SIGINT, as shells say it. */
export const interruptedExit = 130;

/** What a command that talks to a daemon ends with. */
export type CommandExit = (typeof exitCodes)[keyof typeof exitCodes] | typeof interruptedExit;

/** @throws {ConfigError} where the path of the control socket is wrong */
export async function openSession(flags: Readonly<Record<string, unknown>>): Promise<Session> {
  const terminal = openTerminal();
  const uid = process.getuid?.() ?? 0;
  const path = await findControlSocket({ input: systemInput(flags), uid, isThere, warn: terminal.warn });
  const client = connectControl({ path });
  return {
    // JSON is what came, escaped as JSON escapes.
    client: flags.json === true ? client : plainClient(client),
    terminal,
    by: whoAsks({ env: process.env, user: userName, atTerminal: isAtTerminal() }),
    clock: Date.now,
    sleep: (ms) => setTimeout(ms),
    interrupted: interruptions(),
    lives,
  };
}

export interface Asking {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly user: () => string;
  readonly atTerminal: boolean;
}

/** systemd sets INVOCATION_ID for what it runs (systemd.exec(5)), which a terminal that it runs hands on. */
export function whoAsks({ env, user, atTerminal }: Asking): string {
  if (env.SUDO_USER) return env.SUDO_USER;
  return env.INVOCATION_ID && !atTerminal ? 'systemctl' : user();
}

/** An account without an entry in passwd(5), as containers have them, has a number only. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`;
  }
}

function isAtTerminal(): boolean {
  return [process.stdin, process.stdout, process.stderr].some(({ isTTY }) => isTTY);
}

function interruptions(): () => AbortSignal {
  let controller: AbortController | null = null;
  return () => {
    if (controller === null) {
      const created = new AbortController();
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => created.abort());
      controller = created;
    }
    return controller.signal;
  };
}

/** Another user's process answers EPERM. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
