/**
 * The exit statuses of the daemon and of its commands. The numbers are those of sysexits.h(3head) as far as
 * that header has a fitting one; docs/reference/exit-codes.md is checked against this table.
 */
export const exitCodes = {
  /** The service was stopped as asked. */
  ok: 0,
  /** A bug in rom-agent itself. */
  bug: 1,
  /** EX_USAGE: an unknown command, option or argument. */
  usage: 64,
  /** EX_NOINPUT: the app's module, or one that it imports, does not exist. */
  moduleMissing: 66,
  /** EX_UNAVAILABLE: the address to listen on is in use or does not exist. */
  addressInUse: 69,
  /** EX_SOFTWARE: the app threw, ended or exported nothing usable before it listened; or the running master met a bug of its own. */
  appFailed: 70,
  /** EX_OSERR: no process or no memory to be had. */
  noResources: 71,
  /** EX_CANTCREAT: the log directory or another output cannot be written. */
  cannotCreate: 73,
  /** EX_TEMPFAIL: too many restarts, or a boot past its limit; worth another try by the OS supervisor. */
  tryAgain: 75,
  /** EX_NOPERM: no permission, for a port below 1024 or a socket's directory. */
  noPermission: 77,
  /** EX_CONFIG: the configuration has errors. */
  config: 78,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
