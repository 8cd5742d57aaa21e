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
  /** EX_OSERR: a process could not be started, or memory ran out. */
  noResources: 71,
  /** EX_CANTCREAT: the log directory or another output cannot be written. */
  cannotCreate: 73,
  /** EX_TEMPFAIL: too many restarts, or a boot past its limit; worth another try by the service manager. */
  tryAgain: 75,
  /** EX_NOPERM: no permission, for a port below 1024 or a socket's directory. */
  noPermission: 77,
  /** EX_CONFIG: the configuration has errors. */
  config: 78,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The base of every error that an operator is meant to read: a plain message and the exit status it leads to. */
export class RomAgentError extends Error {
  readonly exitCode: ExitCode;

  constructor(message: string, { exitCode, cause }: { exitCode: ExitCode; cause?: unknown }) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.exitCode = exitCode;
  }
}

/** One thing wrong with the configuration. */
export interface Problem {
  /** The setting's name as in the TOML file, such as `drain_timeout`. */
  readonly field: string;
  /** The value as it was given; undefined: it is missing. */
  readonly value: unknown;
  /** Where it came from: `--port`, `PORT in the environment`, `/etc/rom-agent/rom-agent.toml`. */
  readonly source: string;
  /** What would be right. */
  readonly expected: string;
}

/** Everything wrong with the configuration, at once. */
export class ConfigError extends RomAgentError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(describeProblem).join('\n'), { exitCode: exitCodes.config });
    this.problems = problems;
  }
}

export function describeProblem({ field, value, source, expected }: Problem): string {
  if (value === undefined) return `${field}: missing in ${source}: expected ${expected}`;
  return `${field}: ${JSON.stringify(value)} (from ${source}) is not right: expected ${expected}`;
}
