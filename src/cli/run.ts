import { CommanderError } from 'commander';
import { type ExitCode, exitCodes, RomAgentError } from '../errors.js';
import { bugMessage, fileMissing, isIncomplete, sayLast } from './ending.js';
import { createProgram } from './program.js';

/** How a command ended that did not get to its own end. */
export interface Ending {
  readonly exitCode: ExitCode;
  /** null: it is no failure. */
  readonly why: string | null;
  readonly error: unknown;
}

/**
 * Runs the command that these arguments name, as in process.argv. What went wrong has been said by then.
 *
 * @returns null where it has set the exit status itself, or ends by `exit`
 */
export async function runCommand(
  argv: readonly string[],
  exit: (code: number) => void,
): Promise<Ending | null> {
  try {
    const { own, appArguments } = splitArguments(argv);
    await createProgram({ exit, called: argv[2], appArguments }).parseAsync(own);
    return null;
  } catch (error) {
    return { ...endingOf(error), error };
  }
}

/** Commander has already printed what was wrong with the arguments; help and version are no errors. */
function endingOf(error: unknown): Omit<Ending, 'error'> {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return { exitCode: exitCodes.ok, why: null };
    return { exitCode: exitCodes.usage, why: error.message };
  }
  if (error instanceof RomAgentError) {
    sayLast(error.message);
    return { exitCode: error.exitCode, why: error.message };
  }
  if (isIncomplete(error)) {
    const why = `${fileMissing}: ${error.message.split('\n')[0]}`;
    sayLast(why);
    return { exitCode: exitCodes.tryAgain, why };
  }
  sayLast(bugMessage(error), error instanceof Error ? error.stack : undefined);
  return { exitCode: exitCodes.bug, why: bugMessage(error) };
}

/** What stands behind the first `--` is the app's, for the commands that have an app. */
function splitArguments(argv: readonly string[]): {
  readonly own: readonly string[];
  readonly appArguments?: readonly string[];
} {
  const at = argv.indexOf('--');
  if (at === -1 || !['serve', 'check', 'doctor', 'install', 'rehearse'].includes(argv[2] ?? ''))
    return { own: argv };
  return { own: argv.slice(0, at), appArguments: argv.slice(at + 1) };
}
