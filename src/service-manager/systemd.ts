import type { Notification, PassedSocket, ServiceManager } from './service-manager.js';

export interface SystemdSeam {
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  /** Loads the sd-notify addon; throws where it is not installed or was built for another Node. */
  readonly loadAddon: () => { sendState(state: string): void };
  /** Called once where the addon is missing, with a sentence for the log. */
  readonly onProblem: (problem: string) => void;
}

/** systemd, spoken to through sd_notify(3). */
export function systemd({ env, pid, loadAddon, onProblem }: SystemdSeam): ServiceManager {
  const send = lazySender(loadAddon, onProblem);
  return {
    kind: 'systemd',
    notify: (notification) => send.now(encode(notification)),
    prepare: send.prepare,
    pingInterval: pingInterval(env, pid),
    sockets: passedSockets(env, pid),
    reapsOrphans: true,
    loopsOnFatalErrors: false,
  };
}

/** systemd ignores a datagram above 4096 bytes (PIPE_BUF) as a whole; a character takes up to three. */
const statusLimit = 1000;

/** The datagram, one `NAME=value` a line. */
export function encode({
  ready,
  stopping,
  reloading,
  watchdog,
  status,
  extend,
  errno,
  mainPid,
}: Notification): string {
  const lines = [
    ready && 'READY=1',
    stopping && 'STOPPING=1',
    // Both in one datagram, or systemd takes the time for that of another reload: sd_notify(3).
    reloading !== undefined && `RELOADING=1\nMONOTONIC_USEC=${reloading}`,
    watchdog && 'WATCHDOG=1',
    status !== undefined && `STATUS=${oneLine(status)}`,
    errno !== undefined && `ERRNO=${errno}`,
    mainPid !== undefined && `MAINPID=${mainPid}`,
    extend !== undefined && `EXTEND_TIMEOUT_USEC=${Math.round(extend * 1000)}`,
  ];
  return lines.filter(Boolean).join('\n');
}

/** Control characters would end the line, or the whole datagram. */
function oneLine(status: string): string {
  const line = status.replaceAll(/\s*\p{Cc}+\s*/gu, ' ');
  return line.length <= statusLimit ? line : `${line.slice(0, statusLimit - 1)}…`;
}

/** A third of what systemd allows (it recommends at most half); null unless WATCHDOG_PID is ours or absent. */
export function pingInterval(env: NodeJS.ProcessEnv, pid: number): number | null {
  const limit = Number(env.WATCHDOG_USEC);
  if (!Number.isSafeInteger(limit) || limit <= 0) return null;
  if (env.WATCHDOG_PID !== undefined && env.WATCHDOG_PID !== String(pid)) return null;
  return limit / 1000 / 3;
}

/** What a process may have open at most, fs.nr_open of the kernel: more is no count of descriptors. */
const mostSockets = 2 ** 20;

/** The sockets of sd_listen_fds(3), from descriptor 3 on; none unless LISTEN_PID is ours. */
export function passedSockets(env: NodeJS.ProcessEnv, pid: number): readonly PassedSocket[] {
  const count = Number(env.LISTEN_FDS);
  if (env.LISTEN_PID !== String(pid) || !Number.isSafeInteger(count)) return [];
  if (count < 1 || count > mostSockets) return [];
  const names = (env.LISTEN_FDNAMES ?? '').split(':');
  return Array.from({ length: count }, (_, index) => ({ fd: 3 + index, name: names[index] || 'unknown' }));
}

/** The addon takes 10 ms to load, koffi 20, which must not delay the workers: it is loaded when there is something to say. */
function lazySender(loadAddon: SystemdSeam['loadAddon'], onProblem: SystemdSeam['onProblem']) {
  let sendState: ((state: string) => void) | null = null;
  const load = (): ((state: string) => void) => {
    sendState ??= loadOrExplain(loadAddon, onProblem);
    return sendState;
  };
  return { now: (state: string): void => load()(state), prepare: (): boolean => load() !== unheard };
}

function loadOrExplain(loadAddon: SystemdSeam['loadAddon'], onProblem: SystemdSeam['onProblem']) {
  try {
    return loadAddon().sendState;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    onProblem(
      `systemd asks to be notified, but neither sd-notify (${reason}) nor koffi can be loaded: readiness, status and ` +
        'watchdog pings are not sent. Install libsystemd-dev and a C++ compiler, then run npm ci with this Node in the ' +
        "project's clone, and make install again",
    );
    return unheard;
  }
}

function unheard(): void {}
