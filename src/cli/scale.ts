import { exitCodes, RomAgentError } from '../errors.js';
import type { ScaleChange } from '../protocol/control-api.js';
import type { ClusterStats } from '../protocol/stats.js';
import { count, span } from './human.js';
import { limitFrom, waitUntil } from './patience.js';
import type { CommandExit, Session } from './session.js';

/** `rom-agent scale`: until as many workers are ready as are wanted. */
export async function scaleCommand(
  session: Session,
  size: string,
  { wait }: { readonly wait: boolean },
): Promise<CommandExit> {
  const { client, terminal, by } = session;
  const change = changeOf(size);
  terminal.print(`${await client.scale(change, by)}\n`);
  if (!wait) return exitCodes.ok;
  const { ready, workers } = await untilReady(session);
  const draining = workers.filter(({ phase }) => phase === 'draining' || phase === 'dying').length;
  terminal.print(`${count(ready, 'worker')} ready${draining === 0 ? '' : `, ${draining} still draining`}\n`);
  return exitCodes.ok;
}

/** `4`, `+1`, `-1` */
export function changeOf(size: string): ScaleChange {
  const [, sign, digits] = /^([+-]?)([1-9]\d{0,3})$/.exec(size) ?? [];
  if (digits === undefined) {
    const expected = 'expected a number of workers such as 4, or a change such as +1 or -1';
    throw new RomAgentError(`scale: ${JSON.stringify(size)} is not right: ${expected}`, {
      exitCode: exitCodes.usage,
    });
  }
  const number = Number(digits);
  return sign === '' ? { to: number } : { add: sign === '-' ? -number : number };
}

async function untilReady(session: Session): Promise<ClusterStats> {
  const limit = await limitFrom(session, 'boot_timeout');
  let seen = await session.client.status();
  return waitUntil(session, {
    limit,
    look: async () => {
      seen = await session.client.status();
      if (seen.status === 'stopping') throw stopping();
      return !isReloading(seen) && seen.ready >= seen.wanted ? seen : null;
    },
    // Scaling waits for the verdict, and a reload has limits of its own.
    isExcused: () => isReloading(seen),
    late: () =>
      `scale: only ${seen.ready} of ${seen.wanted} workers are ready after ${span(limit)}; see the log`,
  });
}

function isReloading({ lastReload }: ClusterStats): boolean {
  return lastReload !== null && lastReload.verdict === null;
}

function stopping(): RomAgentError {
  return new RomAgentError('scale: the service is stopping', { exitCode: exitCodes.tryAgain });
}
