import { type ExitCode, exitCodes } from './exit-codes.js';

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
  /** The value as it was given. */
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
  return `${field}: ${JSON.stringify(value)} (from ${source}) is not right: expected ${expected}`;
}
