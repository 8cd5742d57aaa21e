import { exitCodes, RomAgentError } from '../errors.js';
import type { WorkerStats } from '../protocol/stats.js';
import { span } from './human.js';
import { limitFrom, waitUntil } from './patience.js';
import type { CommandExit, Session } from './session.js';
import { workerNumber } from './worker-number.js';

/** `rom-agent restart`: until another process serves in the worker's place. */
export async function restartCommand(session: Session, worker: string): Promise<CommandExit> {
  const { client, terminal, by } = session;
  const id = workerNumber('restart', worker);
  const limit = await limitFrom(session, 'boot_timeout');
  const before = new Set((await inSlot(session, id)).map(({ pid }) => pid));
  terminal.print(`${await client.restart(id, by)}\n`);
  const pid = await waitUntil(session, {
    limit,
    look: async () => successor(await inSlot(session, id), { id, before }),
    late: () => `restart: no new worker ${id} is ready after ${span(limit)}; the log says why`,
  });
  terminal.print(`worker ${id} is ready, pid ${pid}\n`);
  return exitCodes.ok;
}

/**
 * The new process, or null while it is not ready.
 * @throws RomAgentError exit 70 where the new one is gone, and the old one stays
 */
function successor(
  workers: readonly WorkerStats[],
  { id, before }: { id: number; before: ReadonlySet<number | null> },
): number | null {
  if (workers.some(({ phase }) => phase === 'starting')) return null;
  const ready = workers.filter(({ phase }) => phase === 'ready');
  const fresh = ready.find(({ pid }) => !before.has(pid));
  if (fresh !== undefined) return fresh.pid;
  const [old] = ready;
  if (old === undefined) return null;
  throw new RomAgentError(
    `restart: the new worker ${id} ended before it was ready, so that pid ${old.pid} stays; the log says why`,
    { exitCode: exitCodes.appFailed },
  );
}

async function inSlot({ client }: Session, id: number): Promise<readonly WorkerStats[]> {
  const { status, workers } = await client.status();
  if (status === 'stopping') {
    throw new RomAgentError('restart: the service is stopping', { exitCode: exitCodes.tryAgain });
  }
  return workers.filter((worker) => worker.id === id);
}
