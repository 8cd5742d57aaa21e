import { closeSync, openSync } from 'node:fs';
import type { Event } from '../core/events.js';
import { isTerminal } from '../logging/layout.js';
import type { Commands } from '../protocol/control-api.js';

export interface SignalSeam {
  readonly post: (event: Event) => void;
  readonly commands: Pick<Commands, 'reload' | 'scale'>;
  readonly terminal: Terminal;
  /** ms */
  readonly now: () => number;
}

/** The terminal that the master was started on, if any. */
export interface Terminal {
  readonly isThere: boolean;
  /** False where it was started on none. */
  isGone(): boolean;
}

/**
 * Handles the signals of the master. A second press of Ctrl-C means "now", as it does for most programs of a terminal;
 * a second SIGTERM is ignored. SIGHUP means "reload" (daemon(7)), or "stop" where the terminal has hung up.
 * SIGTTIN and SIGTTOU are a terminal's own: under `stty tostop` it sends one for each write of a job in the background, which
 * the kernel restarts until the job has stopped. On a terminal the master does not handle them.
 *
 * @returns what undoes it
 */
export function onSignals(master: NodeJS.Process, { post, commands, terminal, now }: SignalSeam): () => void {
  let interruptedAt: number | null = null;
  const handlers: Partial<Record<NodeJS.Signals, () => void>> = {
    SIGTERM: () => post({ type: 'stop', why: 'SIGTERM', now: false }),
    SIGHUP: () => {
      if (terminal.isGone()) post({ type: 'stop', why: 'SIGHUP', now: false });
      else void commands.reload({ by: 'SIGHUP', soak: true, rollback: true });
    },
    SIGUSR2: () => void commands.reload({ by: 'SIGUSR2', soak: false, rollback: false }),
    ...(terminal.isThere ? {} : scaling(commands)),
    SIGINT: () => {
      post({ type: 'stop', why: 'SIGINT', now: isSecondPress(interruptedAt, now()) });
      interruptedAt ??= now();
    },
  };
  const entries = Object.entries(handlers) as [NodeJS.Signals, () => void][];
  for (const [signal, handler] of entries) master.on(signal, handler);
  return () => {
    for (const [signal, handler] of entries) master.off(signal, handler);
  };
}

/**
 * SIGINTs within this time are one press of Ctrl-C, ms: a terminal sends SIGINT to the whole process group, and npm,
 * concurrently and wrappers in shell pass theirs on besides.
 */
const onePress = 500;

function isSecondPress(first: number | null, now: number): boolean {
  return first !== null && now - first >= onePress;
}

function scaling(commands: SignalSeam['commands']) {
  return {
    SIGTTIN: () => void commands.scale({ add: 1 }, 'SIGTTIN'),
    SIGTTOU: () => void commands.scale({ add: -1 }, 'SIGTTOU'),
  };
}

/** Any of the standard streams may be the terminal. After a hang-up /dev/tty cannot be opened any more (tty(4)). */
export function ownTerminal(isThere = [0, 1, 2].some(isTerminal)): Terminal {
  return { isThere, isGone: () => isThere && !canOpen('/dev/tty') };
}

function canOpen(path: string): boolean {
  try {
    closeSync(openSync(path, 'r'));
    return true;
  } catch {
    return false;
  }
}
