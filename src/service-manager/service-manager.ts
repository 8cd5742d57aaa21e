/** What can be told to the service manager at once; see sd_notify(3). */
export interface Notification {
  readonly ready?: true;
  readonly stopping?: true;
  /** When the reload began, in microseconds of CLOCK_MONOTONIC: `process.hrtime.bigint() / 1000n`. */
  readonly reloading?: bigint;
  readonly watchdog?: true;
  /** One line for `systemctl status`. */
  readonly status?: string;
  /** Asks for this much more time for the start or the stop that is under way, ms. */
  readonly extend?: number;
  /** A system error number. */
  readonly errno?: number;
  /** The process that is the main one from now on; this one is heard no more. */
  readonly mainPid?: number;
}

/** A listening socket that the service manager opened for us; it is never closed or unlinked. */
export interface PassedSocket {
  readonly fd: number;
  readonly name: string;
}

/** Whoever started the master and restarts it. Callers never ask which one it is in order to talk to it. */
export interface ServiceManager {
  readonly kind: 'systemd' | 'launchd' | 'pm2' | 'none';
  notify(notification: Notification): void;
  /** Loads what notifies; false where nothing that could is there. Missing: nobody is notified. */
  prepare?(): boolean;
  /** How often a watchdog ping is wanted, ms; null where there is no watchdog. */
  readonly pingInterval: number | null;
  readonly sockets: readonly PassedSocket[];
  /** Whether it kills what the master leaves behind when it dies. */
  readonly reapsOrphans: boolean;
  /** Whether it would restart the master for ever after a fatal error, unless the exit status is 0. */
  readonly loopsOnFatalErrors: boolean;
}

/** The environment without what is meant for the master alone (sd_notify(3), sd_listen_fds(3)). */
export function withoutOwnVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, ...others } =
    env;
  const { ROM_AGENT_SUPERVISOR, ROM_AGENT_OUTPUT, ROM_AGENT_FLEET_REDIS_URL, ...rest } = others;
  return rest;
}
