import { CommanderError } from 'commander';
import { type ExitCode, exitCodes, RomAgentError } from '../errors.js';
import {
  bugMessage,
  exitStatusFor,
  fileMissing,
  findServiceManager,
  isIncomplete,
  sayLast,
  tellReason,
} from './ending.js';
import { createProgram } from './program.js';

interface Ending {
  readonly exitCode: ExitCode;
  /** null: it is no failure. */
  readonly why: string | null;
}

/** Commander has already printed what was wrong with the arguments; help and version are no errors. */
function endingOf(error: unknown): Ending {
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
  if (at === -1 || !['serve', 'check', 'doctor', 'install'].includes(argv[2] ?? '')) return { own: argv };
  return { own: argv.slice(0, at), appArguments: argv.slice(at + 1) };
}

async function main(): Promise<void> {
  const [, , called] = process.argv;
  if (process.pid === 1 && isServe(called)) (await import('./first-process.js')).letShellReap();
  try {
    const { own, appArguments } = splitArguments(process.argv);
    await createProgram({ exit: (code) => process.exit(code), called, appArguments }).parseAsync(own);
  } catch (error) {
    const { exitCode, why } = endingOf(error);
    const serviceManager = findServiceManager(() => {});
    // Whoever asks the daemon something is not the daemon.
    if (why !== null && isServe(called)) tellReason(serviceManager, why, error);
    process.exitCode = exitStatusFor(serviceManager, exitCode);
  }
}

/** Not a command of the control socket; a word that is no command may be a misspelt one. */
function isServe(called: string | undefined): boolean {
  return called === undefined || called === 'serve' || called.startsWith('-');
}

void main();
