import { exitCodes } from '../../errors.js';
import type { ClusterStats } from '../../protocol/stats.js';
import { count } from '../../protocol/words.js';

import type { CommandExit, Session } from '../session.js';

/**
 * `rom-agent health`, for a container's HEALTHCHECK and for scripts: exit status 0 while the service serves and at least
 * half of its workers answer, as for a ping of systemd's watchdog; 75 where it does not.
 */
export async function healthCommand({ client, terminal }: Session): Promise<CommandExit> {
  const stats = await client.status();
  const answering = answeringSlots(stats);
  const said = `${stats.status}, ${answering} of ${count(stats.wanted, 'worker')} ${answering === 1 ? 'answers' : 'answer'}`;
  const isHealthy = stats.status === 'serving' && answering >= Math.ceil(stats.wanted / 2);
  terminal.print(`${isHealthy ? 'healthy' : 'unhealthy'}: ${said}\n`);
  return isHealthy ? exitCodes.ok : exitCodes.tryAgain;
}

/** A slot has two workers while one replaces the other. */
function answeringSlots({ workers }: ClusterStats): number {
  const answering = workers.filter(
    ({ id, phase, health }) => id !== null && phase === 'ready' && health !== 'unresponsive',
  );
  return new Set(answering.map(({ id }) => id)).size;
}
