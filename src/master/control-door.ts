import type { ControlServer } from '../control/server.js';
import type { Commands } from '../protocol/control-api.js';
import type { PassedSocket } from '../supervisor/supervisor.js';
import type { LazyLog } from '../telemetry/lazy-log.js';

/** The control socket, opened once the workers are forked, so that it does not delay them. */
export interface ControlDoor {
  /** Resolves once it is open, or cannot be: a warning says why. The first call opens it. */
  open(): Promise<void>;
  close(): Promise<void>;
}

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
      const { openControl } = await import('../control/server.js');
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
    open: async () => {
      opening ??= openServer();
      await opening;
    },
    close: async () => void (await (await opening)?.close()),
  };
}
