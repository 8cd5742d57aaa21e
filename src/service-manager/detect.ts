import { createRequire } from 'node:module';
import type { ServiceManager } from './service-manager.js';
import { passedSockets, type SystemdSeam, systemd } from './systemd.js';
import {
  createSender,
  type Datagrams,
  type Koffi,
  unixDatagrams,
  whileThereIsRoom,
} from './unix-datagram.js';

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
export function detectServiceManager(surroundings: Surroundings): ServiceManager {
  const { env, pid, platform, send, onProblem } = surroundings;
  const { loadAddon = () => requireAddon({ platform, env, onProblem }) } = surroundings;
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

function silent(env: NodeJS.ProcessEnv, pid: number): ServiceManager {
  return {
    kind: 'none',
    notify: () => {},
    pingInterval: null,
    sockets: passedSockets(env, pid),
    reapsOrphans: false,
    loopsOnFatalErrors: false,
  };
}

type Addon = ReturnType<SystemdSeam['loadAddon']>;

interface AddonOptions {
  readonly platform: NodeJS.Platform;
  readonly env: NodeJS.ProcessEnv;
  /** Called once where nobody reads what is sent, with a sentence for the log. */
  readonly onProblem: (problem: string) => void;
  readonly load?: (name: string) => unknown;
}

/**
 * sd-notify, which is compiled for one ABI of Node, or where it cannot be loaded koffi, which comes compiled. With koffi
 * neither blocks the event loop. sd-notify alone blocks it, for up to ten seconds, where nobody reads the socket: it cannot
 * be loaded in a thread, and systemd takes no notification from another process.
 *
 * @throws what was wrong with sd-notify, where neither can be loaded
 */
export function requireAddon({
  load = createRequire(import.meta.url),
  platform,
  env,
  onProblem,
}: AddonOptions): Addon {
  const address = env.NOTIFY_SOCKET ?? '';
  const sendWith = (datagrams: Pick<Datagrams, 'trySend'>): Addon => {
    const onUnread = (waiting: readonly string[]): void => onProblem(unread(address, waiting));
    return { sendState: createSender(datagrams, { onUnread }).send };
  };
  const addon = attempt(() => load('sd-notify') as Addon);
  if (platform !== 'linux') return addon.orThrow();
  const sender = attempt(() => {
    const koffi = load('koffi') as Koffi;
    const loaded = addon.value;
    return sendWith(
      loaded === null ? unixDatagrams(koffi, address) : whileThereIsRoom(koffi, address, loaded.sendState),
    );
  });
  return sender.value ?? addon.orThrow();
}

function unread(address: string, waiting: readonly string[]): string {
  const said = waiting.map((state) => state.split('\n')[0]).join(', ');
  return `systemd does not read its notification socket ${address}: ${said} will be sent when it does`;
}

function attempt<T>(act: () => T): { readonly value: T | null; orThrow(): T } {
  try {
    const value = act();
    return { value, orThrow: () => value };
  } catch (error) {
    return {
      value: null,
      orThrow: () => {
        throw error;
      },
    };
  }
}
