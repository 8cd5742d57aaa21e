import type { Notification, Supervisor } from '../service-manager/supervisor.js';

export interface ReadyLastSeam {
  /** Opens the control socket if it is not open yet. Resolves when it is, or cannot be. */
  readonly open: () => Promise<void>;
  readonly after: (delay: number, act: () => void) => void;
}

/** A control socket that takes longer must not keep those waiting who want the service. ms */
export const doorPatience = 2_000;

/**
 * The supervisor, told READY=1 only once the control socket is there too: who waits for READY may run
 * `rom-agent status` at once. What is told meanwhile waits behind it, so that the order stays as it was.
 */
export function readyLast(supervisor: Supervisor, { open, after }: ReadyLastSeam): Supervisor {
  let isOpen = false;
  let waiting: Notification[] | null = null;
  const pass = (): void => {
    isOpen = true;
    const all = waiting ?? [];
    waiting = null;
    for (const notification of all) supervisor.notify(notification);
  };
  const notify = (notification: Notification): void => {
    if (waiting !== null) return void waiting.push(notification);
    if (isOpen || notification.ready !== true) return supervisor.notify(notification);
    waiting = [notification];
    void open().then(pass);
    after(doorPatience, pass);
  };
  return { ...supervisor, notify };
}
