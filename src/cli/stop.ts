import { exitCodes, RomAgentError } from '../errors.js';
import { span } from './human.js';
import { limitFrom, waitUntil } from './patience.js';
import type { CommandExit, Session } from './session.js';

/** `rom-agent stop`: until the daemon is gone. */
export async function stopCommand(session: Session): Promise<CommandExit> {
  const { client, terminal, by } = session;
  const limit = await limitFrom(session, 'drain_timeout');
  const { master } = await client.status();
  await client.stop(by);
  terminal.print(`pid ${master.pid} drains its workers\n`);
  await waitUntil(session, {
    limit,
    look: () => isGone(session, master.pid),
    late: () =>
      `stop: pid ${master.pid} still runs after ${span(limit)}; rom-agent status shows what is left`,
  });
  await untilDead(session, master.pid);
  terminal.print('stopped. The service has ended with 0, so systemd or launchd does not start it again\n');
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
