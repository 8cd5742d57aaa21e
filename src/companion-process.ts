import { exitCodes, RomAgentError } from './errors.js';

/** To whoever started this process; nothing where the channel has broken. */
export function tellMaster(message: object): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

/**
 * Ends this process once `close` has ended: at SIGTERM and SIGINT, and when the channel breaks, as it does when whoever
 * started it ends, for whatever reason.
 *
 * @param close `masterDied`: the channel broke, and nobody has asked this process to end
 */
export function endWithMaster(close: (masterDied: boolean) => Promise<void> | void): void {
  let isEnding = false;
  const end = async (masterDied: boolean): Promise<void> => {
    if (isEnding) return;
    isEnding = true;
    await close(masterDied);
    process.exit(0);
  };
  process.once('disconnect', () => void end(true));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end(false));
  if (!process.connected) void end(true);
}

/** Runs the composition root of a companion of the master. What fails ends the process, and the master is told why. */
export function runCompanion(main: () => Promise<void>, reasonOf = reasonOfError): void {
  const fail = (error: unknown): void => {
    if (!process.connected) process.exit(exitCodes.bug);
    const message = { type: 'failed', message: reasonOf(error) };
    process.send?.(message, undefined, undefined, () => process.exit(exitCodes.bug));
  };
  process.once('uncaughtException', fail);
  process.once('unhandledRejection', fail);
  main().catch(fail);
}

/** In words where they are for an operator, else with the stack. */
export function reasonOfError(error: unknown): string {
  return error instanceof RomAgentError ? error.message : String((error as Error)?.stack ?? error);
}
