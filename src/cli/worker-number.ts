import { exitCodes, RomAgentError } from '../errors.js';

/** @throws RomAgentError exit 64 where it is no number of a worker */
export function workerNumber(command: string, worker: string): number {
  if (/^[1-9]\d{0,5}$/.test(worker)) return Number(worker);
  throw new RomAgentError(
    `${command}: ${JSON.stringify(worker)} is not right: expected the number of a worker, which rom-agent status shows`,
    { exitCode: exitCodes.usage },
  );
}
