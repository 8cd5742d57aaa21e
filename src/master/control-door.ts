import type { Commands } from '../control/api.js';
import type { ControlServer } from '../control/server.js';
import type { PassedSocket } from '../supervisor/supervisor.js';
import type { LazyLog } from '../telemetry/lazy-log.js';

/**
 * The control socket. Whoever waits for its file finds the service behind it, so it is opened as the service is ready;
 * where a start takes longer than `slowStart`, before, so that the start can be looked at.
 */
export interface ControlDoor {
  /** Loads what open() needs, while the workers boot. */
  prepare(): void;
  /** Resolves once it is open, or cannot be: a warning says why. The first call opens it. */
  open(): Promise<void>;
  close(): Promise<void>;
}

/** ms */
export const slowStart = 1_000;

export interface ControlDoorSeam {
  readonly path: string;
  /** The socket that the OS supervisor opened for it; null: it is made at `path`. */
  readonly inherited: PassedSocket | null;
  readonly commands: Commands;
  readonly version: string;
  readonly log: LazyLog;
}

export function controlDoor({ path, inherited, commands, version, log }: ControlDoorSeam): ControlDoor {
  let opening: Promise<ControlServer | null> | null = null;
  const openServer = async (): Promise<ControlServer | null> => {
    try {
      const { openControl } = await load();
      const where = inherited === null ? { path } : { fd: inherited.fd };
      return await openControl({ ...where, commands, version, log });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.warn(
        `no control socket: ${reason}; rom-agent status, reload and the like cannot reach this daemon`,
      );
      return null;
    }
  };
  return {
    prepare: () => void load().catch(() => {}),
    open: async () => {
      opening ??= openServer();
      await opening;
    },
    close: async () => void (await (await opening)?.close()),
  };
}

/** What cannot be loaded is told of by open(). */
const load = () => import('../control/server.js');
