import type { RedisProbe } from '../backplane/redis/probe.js';
import type { Machine, MachineSeam } from '../config/machine.js';
import type { EffectiveValues } from '../config/resolve.js';
import type { Problem } from '../errors.js';
import type { Holder } from '../processes.js';
import type { Told } from '../sandbox/log.js';
import type { Config } from '../settings/config.js';
import type { ServiceUnit, SocketUnit } from './units.js';

/** Everything that is looked at, gathered before any of it is judged. */
export interface Facts {
  readonly platform: NodeJS.Platform;
  /** Wall clock, ms since 1970. */
  readonly now: number;
  readonly settings: SettingsFacts;
  readonly node: NodeFacts;
  readonly systemd: SystemdFacts | null;
  readonly launchd: LaunchdFacts | null;
  readonly daemon: DaemonFacts;
  readonly port: PortFacts;
  /** null: the service is in no fleet. */
  readonly redis: RedisProbe | null;
  readonly machine: MachineFacts;
  readonly descriptors: DescriptorFacts;
  /** Of the kernel, by name with dots; null where it has none of this name. */
  readonly sysctl: (name: string) => string | null;
  readonly account: Account;
  readonly places: readonly Place[];
  readonly secrets: readonly SecretFile[];
}

export interface SettingsFacts {
  /** With the default in the place of each value that is wrong. */
  readonly config: Config;
  readonly effective: EffectiveValues;
  readonly problems: readonly Problem[];
  /** The TOML file that was read, or null. */
  readonly file: string | null;
  /** The unit whose environment and command line were taken; null: this process's own. */
  readonly asUnit: string | null;
  /** Files with settings that may not be read by who asks. */
  readonly unreadable: readonly string[];
}

export interface NodeFacts {
  /** process.versions.node of this process. */
  readonly version: string;
  readonly path: string;
  /** Of the unit's node: whether it is this one, too; null without a unit. */
  readonly unitPath: string | null;
  readonly isUnitsNode: boolean;
  /** Why sd-notify cannot be loaded; null: it can. */
  readonly addon: string | null;
  /** Whether the daemon can wait for children that it has not started. To find out loads koffi. */
  readonly canReap: () => boolean;
}

export interface SystemdFacts {
  /** null: it did not say. */
  readonly version: number | null;
  /** The unit that was asked for. */
  readonly name: string;
  /** null: not installed, or it may not be asked. */
  readonly unit: ServiceUnit | null;
  readonly socket: SocketUnit | null;
  /** Of what ExecStart= names, the files that are not there. */
  readonly missing: readonly string[];
  /** Of the paths that the sandbox is made of, those that are not there. */
  readonly missingPaths: ServiceUnit['needed'];
  /** What the app ran into since the last start; null: the journal cannot be read. */
  readonly refusals: readonly Told[] | null;
}

export interface LaunchdFacts {
  readonly path: string;
  /** null: not installed. */
  readonly text: string | null;
}

/** What answers at the control socket. */
export type DaemonFacts =
  | { readonly state: 'none' }
  | { readonly state: 'unknown'; readonly why: string }
  /** Another service answers at the control socket of the unit that was asked for. */
  | { readonly state: 'other'; readonly pid: number; readonly path: string }
  | {
      readonly state: 'runs';
      readonly pid: number;
      /** Of master and workers. */
      readonly pids: readonly number[];
      readonly version: string;
      /** process.version of the master. */
      readonly node: string;
      /** The shortest time for which an app's server keeps an idle connection, ms; null: no worker has told of one. */
      readonly keepAliveTimeoutMs: number | null;
      readonly settings: Readonly<Record<string, { readonly value: unknown; readonly from: string }>>;
    };

/** What becomes of who listens where the daemon would. */
export type PortFacts =
  | { readonly state: 'free' }
  | { readonly state: 'taken'; readonly holder: Holder | null }
  /** An error of the system, such as EACCES. */
  | { readonly state: 'refused'; readonly code: string }
  | { readonly state: 'not looked at'; readonly why: string };

export interface MachineFacts extends Machine {
  /** Of cgroups; null where there are none. */
  readonly hierarchy: 'v1' | 'v2' | null;
  /** MiB; Infinity: no limit. Where the kernel throttles. */
  readonly memoryHigh: number;
  /** MiB, of the machine whatever the cgroups say. */
  readonly memoryInAll: number;
  /** Of a thread each; Infinity: no limit. */
  readonly tasks: number;
}

export interface DescriptorFacts {
  /** The hard limit, to which Node raises the soft one at its start; null: unknown. */
  readonly limit: number | null;
  readonly of: string;
}

/** As whom the service runs. */
export type Account =
  | { readonly kind: 'known'; readonly name: string; readonly uid: number; readonly gids: readonly number[] }
  /** A user that exists only while the service runs (DynamicUser=), with what systemd makes and reads for it. */
  | {
      readonly kind: 'dynamic';
      readonly directories?: readonly string[];
      readonly environmentFile?: string | null;
    }
  | { readonly kind: 'unknown'; readonly name: string };

export interface Stats {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly isDirectory: boolean;
}

/** Something that the service needs to read or to write. */
export interface Place {
  /** The setting, or what it is. */
  readonly what: string;
  readonly path: string;
  readonly need: 'read' | 'write';
  /** The path, links resolved, and all of its ancestors, the nearest first; null: it is not there. */
  readonly steps: readonly { readonly path: string; readonly stats: Stats | null }[];
  /** What access(2) says of this process; null where the service is somebody else. */
  readonly access: boolean | null;
  /** Of the file system that it is on, or would be; null: not asked, or unknown. */
  readonly space: Space | null;
}

export interface Space {
  readonly bytes: number;
  /** Infinity where the file system does not count them. */
  readonly inodes: number;
}

/** A file with variables in it. */
export interface SecretFile {
  readonly path: string;
  readonly stats: Stats;
  /** The names in it that look like those of secrets. */
  readonly names: readonly string[];
}

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
  readonly probeRedis: (fleet: Config['fleet']) => Promise<RedisProbe>;
  /** Whether the daemon can wait for children that it has not started. */
  readonly canReap: () => boolean;
  /** Throws where the addon for systemd cannot be loaded. */
  readonly loadAddon: () => unknown;
}
