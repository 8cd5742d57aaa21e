import type { Share } from '../settings/config.js';
import type { CellSettings } from './cell.js';

/** Where the daemon listens for an app that does not listen itself. */
export type Listen =
  | { readonly kind: 'tcp'; readonly port: number; readonly host: string | null }
  | { readonly kind: 'path'; readonly path: string; readonly mode: number | null }
  /** Sockets that the service manager opened; `port` is the configured one. */
  | { readonly kind: 'fds'; readonly sockets: readonly ListenSocket[]; readonly port: number }
  /** The app is no server. */
  | { readonly kind: 'none' };

export interface ListenSocket {
  /** The master's descriptor: node:cluster has it sent to the worker. */
  readonly fd: number;
  readonly name: string;
  /** Both are null where it could not be found out. */
  readonly port: number | null;
  /** An abstract one begins with `@`. */
  readonly path: string | null;
}

/** Where the workers listen that serve already. */
export interface Siblings {
  /** On which all of them do. */
  readonly urls: readonly string[];
  /** Whether that is where they are configured to. */
  readonly onTarget: boolean;
}

/**
 * What one worker has to know: its share of the settings, and what the master adds. `workerSettings` (master/launch.ts)
 * makes it, the pool writes it into the environment of the worker, and `takeSettings` takes it out there.
 */
export interface WorkerSettings extends Share<'worker'> {
  /** Number of its slot, from 1; null: a spare, which has none yet. */
  readonly worker: number | null;
  readonly generation: number;
  /** How often it sends a heartbeat, ms. */
  readonly heartbeatInterval: number;
  readonly version: string;
  /** The master's build: a worker of another one refuses to run. */
  readonly build: string;
  readonly cpus: number;
  /** How many workers there were to be when this one was started. */
  readonly workersAtStart: number;
  readonly listen: Listen;
  /** What the app finds in process.execArgv: none of the flags that the master adds for itself. */
  readonly execArgv: readonly string[];
  /** null: nobody serves yet. */
  readonly siblings: Siblings | null;
  /** Its generation has not proved itself yet. */
  readonly onTrial: boolean;
  /** The file of standard output that is followed through its rotation. */
  readonly outputFile: string | null;
  /**
   * How long an app that listens elsewhere may take until it listens where it is configured to, ms; one that is no server,
   * until its module has been evaluated.
   */
  readonly portWait: number;
  /** It is the cell; null: an ordinary worker. */
  readonly cell: CellSettings | null;
  /** How long after its start, or a spare's promotion, a worker may ask for `start.probe`, ms. */
  readonly probeWait: number;
}

export const settingsVariable = 'ROM_AGENT_WORKER';

/**
 * By what the app tells its workers apart: the number of the slot from 1, which a worker's replacement has too, and the
 * same from 0 under the name that PM2 gives it. A spare (null) has none before its promotion.
 */
export function numberVariables(worker: number | null): {
  readonly ROM_WORKER: string | undefined;
  readonly NODE_APP_INSTANCE: string | undefined;
} {
  if (worker === null) return { ROM_WORKER: undefined, NODE_APP_INSTANCE: undefined };
  return { ROM_WORKER: String(worker), NODE_APP_INSTANCE: String(worker - 1) };
}

/** Takes the settings out of the environment, so that the app and its children do not inherit them. */
export function takeSettings(env: NodeJS.ProcessEnv): WorkerSettings {
  const text = env[settingsVariable];
  if (text === undefined)
    throw new Error(`${settingsVariable} is not set: workers are started by the master only`);
  delete env[settingsVariable];
  return JSON.parse(text) as WorkerSettings;
}
