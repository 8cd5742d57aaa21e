import { exitCodes } from '../errors.js';
import { seal } from '../protocol/messages.js';

/** Says to the master why no worker of this build runs under it, and ends. */
export function refuse(message: string): void {
  const exitCode = exitCodes.tryAgain;
  const failure = { message, exitCode, lasting: true };
  process.send?.(seal({ type: 'failed', failure }), () => process.exit(exitCode));
}
