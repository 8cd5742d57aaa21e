import type { Listen, WorkerSettings } from '../../protocol/settings.js';
import type { Servers } from '../connections/servers.js';
import { forwarder, isTarget, markWorkerPort } from './target.js';

/*
 * A port of each worker's own, `worker_ports`: its connections go to the app's server as those of the shared port do, and
 * never to another worker. The master holds the socket, as it does all of them: the next worker of the slot shares it with
 * the one before while both run, so that a reload refuses nobody.
 */

/** Opens it where it is configured. Whoever has the port: the worker serves on the shared one all the same. */
export async function openWorkerPort({ settings, worker, servers, warn }: WorkerPortSeam): Promise<void> {
  const where = workerPortOf(settings, worker);
  if (where === null) return;
  try {
    await listenOnWorkerPort(where, { servers, listen: settings.listen });
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const place = `${where.host}:${where.port}`;
    warn(`worker_ports: cannot listen on ${place} (${code}): nobody reaches worker ${worker} alone`);
  }
}

export interface WorkerPortSeam {
  readonly settings: Pick<WorkerSettings, 'workerPorts' | 'listen'>;
  /** Number of its slot. */
  readonly worker: number | null;
  readonly servers: Pick<Servers, 'listening'>;
  readonly warn: (message: string) => void;
}

/** Where worker `worker` listens alone; null where it does not. */
export function workerPortOf(
  { workerPorts, listen }: Pick<WorkerSettings, 'workerPorts' | 'listen'>,
  worker: number | null,
): { readonly port: number; readonly host: string } | null {
  if (workerPorts === null || worker === null || listen.kind === 'none') return null;
  return { port: workerPorts + worker - 1, host: hostOf(listen) };
}

/** Others than this machine reach a worker's port only where they reach the service by an address that was asked for. */
function hostOf(listen: Listen): string {
  return (listen.kind === 'tcp' ? listen.host : null) ?? '127.0.0.1';
}

/** Listens for the app's server on the configured address, or else its first one. Rejects where the port is taken. */
async function listenOnWorkerPort(
  where: { readonly port: number; readonly host: string },
  { servers, listen }: { readonly servers: Pick<Servers, 'listening'>; readonly listen: Listen },
): Promise<void> {
  const candidates = servers.listening();
  const target = candidates.find((server) => isTarget(server, listen)) ?? candidates[0];
  if (target === undefined) return;
  const server = forwarder(target);
  markWorkerPort(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
