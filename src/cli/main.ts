#!/usr/bin/env node
import { CommanderError } from 'commander';
import { RomAgentError } from '../errors/errors.js';
import { type ExitCode, exitCodes } from '../errors/exit-codes.js';
import { createProgram } from './program.js';
import { exitStatusFor, findSupervisor } from './supervisor.js';
import { complain } from './terminal.js';

/** Commander has already printed what was wrong with the arguments; help and version are no errors. */
function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (error instanceof RomAgentError) {
    complain(error.message);
    return error.exitCode;
  }
  complain(`a bug: ${error instanceof Error ? error.stack : String(error)}`);
  return exitCodes.bug;
}

async function main(): Promise<void> {
  try {
    const [, , called] = process.argv;
    await createProgram({ exit: (code) => process.exit(code), called }).parseAsync();
  } catch (error) {
    process.exitCode = exitStatusFor(
      findSupervisor(() => {}),
      exitCodeOf(error),
    );
  }
}

void main();
