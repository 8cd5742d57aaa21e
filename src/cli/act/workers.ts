import { exitCodes, RomAgentError } from '../../errors.js';
import type { ScaleChange } from '../../protocol/control-api.js';
import type { ClusterStats, WorkerStats } from '../../protocol/stats.js';
import { count } from '../../protocol/words.js';
import { span } from '../output.js';
import { type CommandExit, limitFrom, type Session, waitUntil, workerNumber } from '../session.js';

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

/** `4`, `+1`, `-1`, `auto` */
export function changeOf(size: string): ScaleChange {
  if (size === 'auto') return { auto: true };
  const [, sign, digits] = /^([+-]?)([1-9]\d{0,3})$/.exec(size) ?? [];
  if (digits === undefined) {
    const expected = 'expected a number of workers such as 4, a change such as +1 or -1, or auto';
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
    `restart: the new worker ${id} exited before it was ready; pid ${old.pid} keeps serving. The log says why`,
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

/** `rom-agent stop`: until the daemon is gone. */
export async function stopCommand(session: Session): Promise<CommandExit> {
  const { client, terminal, by } = session;
  const limit = await limitFrom(session, 'drain_timeout', 'lame_duck');
  const { master } = await client.status();
  await client.stop(by);
  terminal.print(`pid ${master.pid} is draining its workers\n`);
  await waitUntil(session, {
    limit,
    look: () => isGone(session, master.pid),
    late: () =>
      `stop: pid ${master.pid} still runs after ${span(limit)}; rom-agent status shows what is left`,
  });
  await untilDead(session, master.pid);
  terminal.print('stopped: the daemon exited with status 0, so systemd or launchd does not restart it\n');
  return exitCodes.ok;
}

/** Nobody answers, or another one does: a connection to the passed socket may have had it started again. */
async function isGone({ client }: Session, pid: number): Promise<true | null> {
  try {
    const { master } = await client.status();
    return master.pid === pid ? null : true;
  } catch (error) {
    if (!(error instanceof RomAgentError)) throw error;
    return error.exitCode === exitCodes.addressInUse ? true : null;
  }
}

/** The socket is closed some time before the process ends. In a container that number is another one's: no error. */
async function untilDead({ lives, clock, sleep }: Session, pid: number): Promise<void> {
  const deadline = clock() + 5000;
  while (lives(pid) && clock() < deadline) await sleep(50);
}
