import type { Server } from 'node:http';
import type { Info } from '../../http/info.js';
import type { LazyLog } from '../../logging/lazy-log.js';
import type { PublicFleet } from '../../protocol/fleet.js';
import { heapUsed, residentSet } from '../../protocol/memory.js';
import type { MetricsSnapshot } from '../../protocol/metrics.js';
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
  onFleet(answer: { readonly id: number; readonly fleet: PublicFleet | null }): void;
  onSnapshot(answer: { readonly id: number; readonly snapshot: MetricsSnapshot }): void;
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
  const stats = createQuestions<PublicStats>((id) => void channel.send({ type: 'stats-request', id }));
  const fleets = createQuestions<PublicFleet | null>(
    (id) => void channel.send({ type: 'fleet-request', id }),
  );
  const snapshots = createQuestions<MetricsSnapshot>(
    (id) => void channel.send({ type: 'metrics-request', id }),
  );
  const hasMetrics = settings.metrics.enabled === 'on' && settings.metrics.http === 'on';
  const mounted = new WeakSet<Server>();
  let mountOn: (server: Server) => void = () => {};
  const load = async (prefix: string | null) => {
    const { createApp } = await import('../../http/app.js');
    return createApp({
      info: cachedInfo(settings, worker),
      stats: stats.ask,
      fleet: fleets.ask,
      metrics: hasMetrics ? snapshots.ask : null,
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
    onStats: (answer) => stats.answered(answer.id, answer.stats),
    onFleet: ({ id, fleet }) => fleets.answered(id, fleet),
    onSnapshot: ({ id, snapshot }) => snapshots.answered(id, snapshot),
  };
}

/** Questions to the master, which are answered by their numbers. */
function createQuestions<Answer>(send: (id: number) => void) {
  const waiting = new Map<number, (answer: Answer) => void>();
  let lastId = 0;
  return {
    ask: (): Promise<Answer> =>
      new Promise((resolve) => {
        const id = ++lastId;
        waiting.set(id, resolve);
        // The route has its own time limit; this removes the entry if the master never answers.
        setTimeout(() => waiting.delete(id), 10_000).unref();
        send(id);
      }),
    answered: (id: number, answer: Answer): void => {
      waiting.get(id)?.(answer);
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
    uptimeSeconds: Math.floor(process.uptime()),
    node: process.version,
    cpus,
    mode,
    memory: { rssBytes: residentSet(), heapUsedBytes: heapUsed() },
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
