import { exitCodes } from '../../errors.js';
import { plain, span } from '../output.js';
import type { CommandExit, Session } from '../session.js';

/** `rom-agent notify`: the daemon tells everybody, from where it is and as the user that it is. */
export async function notifyCommand({ client, terminal, by }: Session): Promise<CommandExit> {
  const { results } = plain(await client.notify(by));
  for (const { target, failure, tookMs } of results) {
    terminal.print(`${target}: ${failure === null ? 'told' : `not told, ${failure}`} (${span(tookMs)})\n`);
  }
  return results.every(({ failure }) => failure === null) ? exitCodes.ok : exitCodes.tryAgain;
}
