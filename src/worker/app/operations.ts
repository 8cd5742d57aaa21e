import type { Server } from 'node:http';
import type { Info } from '../../http/info.js';
import type { LazyLog } from '../../logging/lazy-log.js';
import { heapUsed, residentSet } from '../../protocol/memory.js';
import type { WorkerSettings } from '../../protocol/settings.js';
import type { PublicStats } from '../../protocol/stats.js';
import type { Channel } from '../channel.js';
import type { Recognised } from './recognise.js';

/** The built-in app and the operational routes: they know this worker, and ask the master about the others. */
export interface Operations {
  builtin(): Promise<Recognised>;
  /** Loads the operational routes of a hosted app, if they are enabled. */
  prepare(): Promise<void>;
  /** Adds the routes to a server before it listens: otherwise the app would get their first requests. */
  mount(server: Server): void;
  onStats(answer: { readonly id: number; readonly stats: PublicStats }): void;
}

export interface OperationsSeam {
  readonly settings: WorkerSettings;
  /** Number of its slot. */
  readonly worker: () => number | null;
  readonly channel: Channel;
  readonly ready: () => boolean;
  readonly log: LazyLog;
}

/** How old the answer of /api/info may be: memory and uptime cost system calls. ms */
const infoAge = 1_000;

export function createOperations({ settings, worker, channel, ready, log }: OperationsSeam): Operations {
  const waiting = new Map<number, (stats: PublicStats) => void>();
  const mounted = new WeakSet<Server>();
  let mountOn: (server: Server) => void = () => {};
  let lastId = 0;
  const stats = (): Promise<PublicStats> =>
    new Promise((resolve) => {
      const id = ++lastId;
      waiting.set(id, resolve);
      // The route has its own time limit; this removes the entry if the master never answers.
      setTimeout(() => waiting.delete(id), 10_000).unref();
      void channel.send({ type: 'stats-request', id });
    });
  const load = async (prefix: string | null) => {
    const { createApp } = await import('../../http/app.js');
    return createApp({
      info: cachedInfo(settings, worker),
      stats,
      ready,
      prefix,
      onError: (error, request) => log.error('a request failed', { error, ...request }),
    });
  };
  return {
    builtin: async () => {
      const { handle, onClientError } = await load(null);
      return { kind: 'listener', listener: handle, onClientError };
    },
    prepare: async () => {
      const { app, routesPrefix: prefix } = settings;
      if (app === null || prefix === null) return;
      const [{ mountOperational }, { handle }] = await Promise.all([
        import('../../http/operational.js'),
        load(prefix),
      ]);
      mountOn = (server) => mountOperational(server, { handle, prefix });
    },
    mount: (server) => {
      // A server that listens again has the routes already.
      if (!('requestTimeout' in server) || mounted.has(server)) return;
      mounted.add(server);
      mountOn(server);
    },
    onStats: ({ id, stats }) => {
      waiting.get(id)?.(stats);
      waiting.delete(id);
    },
  };
}

function infoOf({ version, mode, cpus }: WorkerSettings, worker: number | null): Info {
  return {
    name: 'rom-agent',
    version,
    pid: process.pid,
    worker,
    uptime: Math.floor(process.uptime()),
    node: process.version,
    cpus,
    mode,
    memory: { rss: mebibytes(residentSet()), heapUsed: mebibytes(heapUsed()) },
  };
}

/** A spare that has become a worker shows its number at once. */
function cachedInfo(settings: WorkerSettings, worker: () => number | null): () => Info {
  let info = infoOf(settings, worker());
  let madeAt = performance.now();
  return () => {
    if (performance.now() - madeAt > infoAge || info.worker !== worker()) {
      info = infoOf(settings, worker());
      madeAt = performance.now();
    }
    return info;
  };
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
