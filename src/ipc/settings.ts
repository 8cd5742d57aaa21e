import type { Config } from '../config/config.js';

/** Where the daemon listens for an app that does not listen itself. */
export type Listen =
  | { readonly kind: 'tcp'; readonly port: number; readonly host: string | null }
  | { readonly kind: 'path'; readonly path: string; readonly mode: number | null }
  /** Sockets that the OS supervisor opened: descriptors of the master. */
  | { readonly kind: 'fds'; readonly fds: readonly number[]; readonly port: number };

/** What one worker has to know, handed over in its environment. */
export interface WorkerSettings
  extends Pick<
    Config,
    'app' | 'mode' | 'dispatch' | 'linger' | 'orphanTimeout' | 'websockets' | 'routesPrefix' | 'log'
  > {
  /** Number of its slot, from 1. */
  readonly worker: number;
  readonly version: string;
  readonly cpus: number;
  readonly listen: Listen;
}

export const settingsVariable = 'ROM_AGENT_WORKER';

/** Takes the settings out of the environment, so that the app and its children do not inherit them. */
export function takeSettings(env: NodeJS.ProcessEnv): WorkerSettings {
  const text = env[settingsVariable];
  if (text === undefined)
    throw new Error(`${settingsVariable} is not set: workers are started by the master only`);
  delete env[settingsVariable];
  return JSON.parse(text) as WorkerSettings;
}
