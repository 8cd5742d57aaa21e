import { createRequire } from 'node:module';
import type { Supervisor } from './supervisor.js';
import { passedSockets, type SystemdSeam, systemd } from './systemd.js';
import { createSender, type Koffi, unixDatagrams } from './unix-datagram.js';

export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  readonly ppid: number;
  readonly platform: NodeJS.Platform;
  /** `process.send` under PM2, undefined elsewhere. */
  readonly send?: ((message: string) => void) | undefined;
  readonly onProblem: (problem: string) => void;
  readonly loadAddon?: SystemdSeam['loadAddon'];
}

/** Finds out who started this process. */
export function detectSupervisor(surroundings: Surroundings): Supervisor {
  const { env, pid, send, onProblem, loadAddon = requireAddon } = surroundings;
  if (env.NOTIFY_SOCKET) return systemd({ env, pid, loadAddon, onProblem });
  if (isLaunchd(surroundings))
    return { ...silent(env, pid), kind: 'launchd', reapsOrphans: false, loopsOnFatalErrors: true };
  if (env.pm_id !== undefined && send !== undefined) {
    return { ...silent(env, pid), kind: 'pm2', notify: ({ ready }) => ready && send('ready') };
  }
  return silent(env, pid);
}

/** ROM_AGENT_SUPERVISOR is set by our plist; XPC_SERVICE_NAME by launchd itself, "0" in a terminal. */
function isLaunchd({ env, ppid, platform }: Surroundings): boolean {
  if (env.ROM_AGENT_SUPERVISOR === 'launchd') return true;
  return platform === 'darwin' && ppid === 1 && (env.XPC_SERVICE_NAME ?? '0') !== '0';
}

function silent(env: NodeJS.ProcessEnv, pid: number): Supervisor {
  return {
    kind: 'none',
    notify: () => {},
    pingInterval: null,
    sockets: passedSockets(env, pid),
    reapsOrphans: false,
    loopsOnFatalErrors: false,
  };
}

/**
 * sd-notify, which is compiled for one ABI of Node, or where it cannot be loaded what comes compiled.
 *
 * @throws what was wrong with sd-notify, where neither can be loaded
 */
export function requireAddon(
  load: (name: string) => unknown = createRequire(import.meta.url),
  { platform, env }: Pick<NodeJS.Process, 'platform' | 'env'> = process,
): { sendState(state: string): void } {
  try {
    return load('sd-notify') as { sendState(state: string): void };
  } catch (error) {
    if (platform !== 'linux') throw error;
    return compiledSender(load, { env, error });
  }
}

function compiledSender(
  load: (name: string) => unknown,
  { env, error }: { readonly env: NodeJS.ProcessEnv; readonly error: unknown },
) {
  try {
    const { send } = createSender(unixDatagrams(load('koffi') as Koffi, env.NOTIFY_SOCKET ?? ''));
    return { sendState: send };
  } catch {
    throw error;
  }
}
