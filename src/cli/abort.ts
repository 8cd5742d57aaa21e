import { exitCodes } from '../errors.js';
import type { CommandExit, Session } from './session.js';

/** `rom-agent abort` */
export async function abortCommand({ client, terminal, by }: Session): Promise<CommandExit> {
  terminal.print(`${await client.abort(by)}\n`);
  return exitCodes.ok;
}
