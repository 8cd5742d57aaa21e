import { exitCodes } from '../errors.js';
import { seal } from '../protocol/messages.js';

/** Tells the master that this build cannot run under it, and ends the process. */
export function refuse(message: string): void {
  const exitCode = exitCodes.tryAgain;
  const failure = { message, exitCode, lasting: true };
  process.send?.(seal({ type: 'failed', failure }), () => process.exit(exitCode));
}
