import type { PreparedControl } from '../control/server.js';
import type { Event } from '../core/events.js';
import type { LazyLog } from '../logging/lazy-log.js';
import type { Commands } from '../protocol/control-api.js';
import type { Notification, PassedSocket, ServiceManager } from '../service-manager/service-manager.js';

/**
 * The control socket. A script that waits for its file expects the port to be open, so the file appears with the first
 * worker that is ready. A start that fails or is slow can be inspected before that.
 */
export interface ControlDoor {
  /** Makes the server, under a name that no client knows, while the workers boot. */
  prepare(): void;
  /** Opens the socket at an event that calls for it: within the call where it is prepared and its path is free. */
  heard(event: Event): void;
  /** Resolves once it is open, or cannot be: a warning says why. The first call opens it. */
  open(): Promise<void>;
  /** Another process is to have the path: nobody new gets here, and what is being answered is answered. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

/** A start that takes longer than this opens the control socket before a worker is ready, ms. */
export const slowStart = 5_000;

export interface ControlDoorSeam {
  readonly path: string;
  /** The socket that the service manager opened for it; null: it is made at `path`. */
  readonly inherited: PassedSocket | null;
  readonly commands: Commands;
  readonly version: string;
  readonly log: LazyLog;
}

export function controlDoor({ path, inherited, commands, version, log }: ControlDoorSeam): ControlDoor {
  const complain = (error: unknown): null => {
    const reason = error instanceof Error ? error.message : String(error);
    log.warn(`no control socket: ${reason}; rom-agent status, reload and the like cannot reach this daemon`);
    return null;
  };
  let prepared: PreparedControl | null = null;
  let preparing: Promise<PreparedControl | null> | null = null;
  const makeServer = async (): Promise<PreparedControl | null> => {
    const { prepareControl } = await import('../control/server.js');
    const where = inherited === null ? { path } : { fd: inherited.fd };
    prepared = await prepareControl({ ...where, commands, version, log });
    return prepared;
  };
  const prepare = (): Promise<PreparedControl | null> => {
    preparing ??= makeServer().catch(complain);
    return preparing;
  };
  let opening: Promise<unknown> | null = null;
  let closed = false;
  const publish = async (): Promise<unknown> => {
    // No await where it is prepared already: see heard().
    const control = prepared ?? (await prepare());
    return control?.publish().catch(complain);
  };
  const open = async (): Promise<void> => {
    if (closed) return;
    opening ??= publish();
    await opening;
  };
  return {
    prepare: () => void prepare(),
    heard: ({ type }) => void (opensAt.has(type) && open()),
    open,
    leave: async () => {
      closed = true;
      await opening;
      (await preparing)?.leave();
    },
    close: async () => {
      closed = true;
      await opening;
      await (await preparing)?.close();
    },
  };
}

const opensAt: ReadonlySet<Event['type']> = new Set(['ready', 'failed', 'fork-failed', 'exited']);

export interface HoldReadySeam {
  /** Opens the control socket if it is not open yet. Resolves when it is, or cannot be. */
  readonly open: () => Promise<void>;
  readonly after: (delay: number, act: () => void) => void;
}

/** READY=1 does not wait longer for the control socket, ms: clients want the service more than operators want its socket. */
export const doorPatience = 2_000;

/**
 * A service manager that is told READY=1 once the control socket is open, or after `doorPatience`, so that an operator can
 * run `rom-agent status` as soon as the unit is up. Later notifications wait behind it, which keeps their order.
 */
export function holdReadyUntilOpen(
  serviceManager: ServiceManager,
  { open, after }: HoldReadySeam,
): ServiceManager {
  let isOpen = false;
  let waiting: Notification[] | null = null;
  const pass = (): void => {
    isOpen = true;
    const all = waiting ?? [];
    waiting = null;
    for (const notification of all) serviceManager.notify(notification);
  };
  const notify = (notification: Notification): void => {
    if (waiting !== null) return void waiting.push(notification);
    if (isOpen || notification.ready !== true) return serviceManager.notify(notification);
    waiting = [notification];
    void open().then(pass);
    after(doorPatience, pass);
  };
  return { ...serviceManager, notify };
}
