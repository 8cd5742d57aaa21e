import { channel } from 'node:diagnostics_channel';
import { Server } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { ShelteredSignals } from '../app/signals.js';
import type { Channel } from '../channel.js';
import type { Servers } from '../connections/servers.js';
import { deferred } from '../deferred.js';
import type { Drainer } from './drain.js';

/** What the app gets on the diagnostics channel `rom-agent:drain` when its worker is about to end. */
export interface DrainNotice {
  /** When the master kills the worker at the latest. */
  readonly deadline: Date;
  /** The worker does not end before the promise settles or the deadline comes. */
  waitUntil(work: Promise<unknown>): void;
}

export interface Shutdown {
  /** @param options the time that is left, ms; `last`: no other worker goes on accepting */
  begin(options: { timeout: number; last: boolean }): void;
  /** The listeners of all workers are closed. */
  release(): void;
}

export interface ShutdownSeam {
  readonly servers: Servers;
  readonly drainer: Pick<Drainer, 'drain'>;
  readonly signals: ShelteredSignals;
  readonly channel: Channel;
  readonly exit: (code: number) => void;
  readonly onError: (message: string, error: unknown) => void;
  readonly onWarning: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

/**
 * Ends a worker: the app is told, connections drain, the worker waits for work that the app named, then calls the
 * app's own SIGTERM handlers. As under plain Node they end the process, or let the event loop run empty.
 */
export function createShutdown(seam: ShutdownSeam): Shutdown {
  let begun = false;
  const released = deferred<void>();
  return {
    begin: ({ timeout, last }) => {
      if (begun) return;
      begun = true;
      setTimeout(() => void cutOff(seam), timeout).unref();
      void end(seam, { timeout, last, released: released.promise });
    },
    release: () => released.resolve(),
  };
}

async function end(
  { servers, drainer, signals, channel, exit, onError }: ShutdownSeam,
  { timeout, last, released }: { timeout: number; last: boolean; released: Promise<void> },
): Promise<void> {
  const work = tellApp(timeout, onError);
  await drainer.drain({
    last,
    timeout,
    closed: async () => {
      await tellClosed({ servers, channel });
      await released;
    },
  });
  await work();
  await channel.send({ type: 'drained' });
  const handlers = await signals.deliver().catch((error) => {
    onError('the app failed in its SIGTERM handler', error);
    return 0;
  });
  if (handlers > 0) return channel.unref();
  await closeServers(servers);
  exit(0);
}

/** An app may have no signal handler and clean up in its server's 'close' event. */
async function closeServers({ all }: Pick<Servers, 'all'>): Promise<void> {
  for (const { server } of all) if (server.listening) Server.prototype.close.call(server);
  await turn();
}

/**
 * Tells the master that the listeners are closed, how many connections and requests are left, and how many there
 * were.
 */
export function tellClosed({ servers, channel }: Pick<ShutdownSeam, 'servers' | 'channel'>): Promise<void> {
  const { inFlight, accepted } = servers.counts();
  return channel.send({ type: 'closed', inFlight, accepted });
}

function tellApp(timeout: number, onError: ShutdownSeam['onError']): () => Promise<void> {
  const works: Promise<unknown>[] = [];
  const notice: DrainNotice = {
    deadline: new Date(Date.now() + timeout),
    waitUntil: (work) => {
      works.push(
        Promise.resolve(work).catch((error) => onError("the app's work at the drain failed", error)),
      );
    },
  };
  channel('rom-agent:drain').publish(notice);
  return async () => void (await Promise.all(works));
}

/**
 * For an app without a listener: it has no connections to drain, and is told at once. Servers that it has for other
 * purposes, such as metrics, are its own affair.
 */
export const noDrainer: Pick<Drainer, 'drain'> = { drain: async ({ closed }) => void closed() };

async function cutOff({ servers, drainer, channel, exit, onWarning }: ShutdownSeam): Promise<void> {
  const { inFlight, connections } = servers.counts();
  if (connections > 0 && drainer !== noDrainer)
    await channel.send({ type: 'cut', requests: inFlight, connections });
  else onWarning("the app's own ending did not end: cut at the deadline", { open: openResources() });
  exit(0);
}

/** What keeps the process running, as Node names it (process.getActiveResourcesInfo): `Timeout`, `TCPSocketWrap`. */
function openResources(): string {
  return [...new Set(process.getActiveResourcesInfo())].sort().join(', ');
}
