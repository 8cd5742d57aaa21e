import { connectControl } from '../control/client.js';
import { RomAgentError } from '../errors.js';
import type { DaemonFacts } from './facts.js';

/** A daemon that is well answers within milliseconds. */
const patience = 3_000;

/** Who answers at a control socket. Nothing of it is changed. */
export async function askDaemon(path: string): Promise<DaemonFacts> {
  const client = connectControl({ path, timeout: patience });
  try {
    const [stats, settings] = await Promise.all([client.status(), client.config()]);
    const { master, workers } = stats;
    const pids = [master.pid, ...workers.flatMap(({ pid }) => (pid === null ? [] : [pid]))];
    const { pid, version, node } = master;
    return { state: 'runs', pid, pids, version, node, settings };
  } catch (error) {
    if (!(error instanceof RomAgentError)) throw error;
    if (isNobody(error.cause)) return { state: 'none' };
    return { state: 'unknown', why: error.message };
  }
}

/** No socket, or none behind which anybody listens. */
function isNobody(cause: unknown): boolean {
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ECONNREFUSED';
}
