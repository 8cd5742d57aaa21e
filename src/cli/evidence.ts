import { exitCodes, RomAgentError } from '../errors.js';
import { longestProfile } from '../protocol/limits.js';
import type { CommandExit, Session } from './session.js';
import { workerNumber } from './worker-number.js';

/** `rom-agent profile <worker>`: the path of its file alone goes to standard output. */
export async function profileCommand(
  { client, terminal, by }: Session,
  worker: string,
  { seconds }: { readonly seconds: string },
): Promise<CommandExit> {
  const { path } = await client.profile(workerNumber('profile', worker), secondsIn(seconds), by);
  terminal.print(`${path}\n`);
  return exitCodes.ok;
}

/** `rom-agent heap-snapshot <worker>` */
export async function heapSnapshotCommand(
  { client, terminal, by }: Session,
  worker: string,
): Promise<CommandExit> {
  const { path } = await client.heapSnapshot(workerNumber('heap-snapshot', worker), by);
  terminal.print(`${path}\n`);
  return exitCodes.ok;
}

function secondsIn(value: string): number {
  if (/^[1-9]\d{0,2}$/.test(value) && Number(value) <= longestProfile) return Number(value);
  throw new RomAgentError(
    `profile: --seconds ${JSON.stringify(value)} is not right: expected a number from 1 to ${longestProfile}`,
    { exitCode: exitCodes.usage },
  );
}
