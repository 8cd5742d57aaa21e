import { exitCodes, RomAgentError } from '../../errors.js';
import type { Listen } from '../../protocol/settings.js';
import { isTarget, targetName } from '../app/target.js';
import type { Servers } from '../connections/servers.js';

/**
 * How often the worker checks whether its app listens, ms; an app that closes and opens its server between two checks
 * is fine.
 */
const lookInterval = 1_000;
const looks = 2;

export interface DeafSeam {
  readonly servers: Pick<Servers, 'listening' | 'pending'>;
  readonly listen: Listen;
  /** False: the worker drains. */
  readonly isServing: () => boolean;
  readonly onDeaf: (error: Error) => void;
  readonly every?: (interval: number, act: () => void) => () => void;
}

/**
 * Whether a client can reach this process. For a worker that never listened on its target any listening server
 * counts.
 */
export function hears(
  { servers, listen }: Pick<DeafSeam, 'servers' | 'listen'>,
  wasOnTarget: boolean,
): boolean {
  const listening = servers.listening();
  return wasOnTarget ? listening.some((server) => isTarget(server, listen)) : listening.length > 0;
}

/**
 * Notices an app that has closed its server and goes on running. Plain Node often ends then; a worker would stay
 * ready and healthy and never get a connection again. Call it when the worker is ready.
 */
export function watchDeaf(seam: DeafSeam): void {
  const { servers, listen, isServing, onDeaf, every = repeat } = seam;
  const wasOnTarget = servers.listening().some((server) => isTarget(server, listen));
  let deafFor = 0;
  const stop = every(lookInterval, () => {
    if (!isServing()) return stop();
    deafFor = servers.pending() > 0 || hears(seam, wasOnTarget) ? 0 : deafFor + 1;
    if (deafFor < looks) return;
    stop();
    const what = wasOnTarget ? `its server on ${targetName(listen)}` : 'its last server';
    const message = `the app has closed ${what} and goes on: nobody can reach this worker`;
    onDeaf(new RomAgentError(message, { exitCode: exitCodes.appFailed }));
  });
}

function repeat(interval: number, act: () => void): () => void {
  const timer = setInterval(act, interval).unref();
  return () => clearInterval(timer);
}
