import { closeSync, openSync } from 'node:fs';
import type { Commands } from '../control/api.js';
import type { Event } from '../core/events.js';
import { isSecondPress } from '../core/press.js';

export interface SignalSeam {
  readonly post: (event: Event) => void;
  readonly commands: Pick<Commands, 'reload' | 'scale'>;
  /** Whether the terminal that the master was started on is gone; false where it was started on none. */
  readonly terminalGone: () => boolean;
  /** ms */
  readonly now: () => number;
}

/**
 * What signals ask of the master. A second press of Ctrl-C means "now", as it does for most programs of a terminal;
 * a second SIGTERM is harmless. SIGHUP means "reload", as daemon(7) has it, unless it says that the terminal has gone.
 *
 * @returns what undoes it
 */
export function onSignals(
  master: NodeJS.Process,
  { post, commands, terminalGone, now }: SignalSeam,
): () => void {
  let interruptedAt: number | null = null;
  const handlers: Partial<Record<NodeJS.Signals, () => void>> = {
    SIGTERM: () => post({ type: 'stop', why: 'SIGTERM', now: false }),
    SIGHUP: () => {
      if (terminalGone()) post({ type: 'stop', why: 'SIGHUP', now: false });
      else void commands.reload({ by: 'SIGHUP', soak: true, rollback: true });
    },
    SIGUSR2: () => void commands.reload({ by: 'SIGUSR2', soak: false, rollback: false }),
    SIGTTIN: () => void commands.scale({ add: 1 }, 'SIGTTIN'),
    SIGTTOU: () => void commands.scale({ add: -1 }, 'SIGTTOU'),
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

/** A terminal that has hung up cannot be opened any more (tty(4)). */
export function terminalWatch({ isTTY }: { isTTY: boolean }): () => boolean {
  return () => {
    if (!isTTY) return false;
    try {
      closeSync(openSync('/dev/tty', 'r'));
      return false;
    } catch {
      return true;
    }
  };
}
