import type { MachineSeam } from '../config/machine.js';
import type { Holder } from '../config/port-holder.js';
import type { DaemonFacts, Space, Stats } from './facts.js';

/** The world, as far as it is looked at. Nothing of it changes by that. */
export interface DoctorSeam extends MachineSeam {
  readonly now: number;
  /** process.versions.node and process.execPath */
  readonly nodeVersion: string;
  readonly execPath: string;
  readonly uid: number;
  readonly gids: readonly number[];
  readonly userName: string;
  /** Standard output of a program; null where it cannot be run or fails. */
  readonly run: (file: string, args: readonly string[]) => Promise<string | null>;
  /** null where there is nothing, or where one may not look. */
  readonly stat: (path: string) => Stats | null;
  readonly mayAccess: (path: string, need: 'read' | 'write') => boolean;
  /** With symbolic links resolved; the path itself where there is nothing. */
  readonly realpath: (path: string) => string;
  readonly space: (path: string) => Space | null;
  /** Listens there for a moment. The code of the error, or null. */
  readonly tryListen: (where: { port: number; host: string | null }) => Promise<string | null>;
  readonly portHolder: (port: number) => Holder | null;
  /** What answers at a control socket. */
  readonly ask: (controlSocket: string) => Promise<DaemonFacts>;
  /** Whether the daemon can wait for children that it has not started. */
  readonly canReap: () => boolean;
  /** Throws where the addon for systemd cannot be loaded. */
  readonly loadAddon: () => unknown;
}
