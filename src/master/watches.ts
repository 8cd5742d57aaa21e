import { existsSync } from 'node:fs';
import type { LazyLog } from '../logging/lazy-log.js';
import { backplaneDirectory } from '../protocol/backplane-process.js';
import type { Commands } from '../protocol/control-api.js';
import { isInFleet, type PublicFleet, publicFleet } from '../protocol/fleet.js';
import type { QueuesAnswer } from '../protocol/queues.js';
import type { ClusterStats } from '../protocol/stats.js';
import type { ServiceManager } from '../service-manager/service-manager.js';
import type { Config } from '../settings/config.js';
import type { Backplane } from './backplane.js';
import type { FleetSide } from './fleet.js';
import { after, now } from './system.js';
import { startWatchdog } from './watchdog-thread.js';

export interface Surroundings {
  readonly serviceManager: ServiceManager;
  readonly log: LazyLog;
  readonly version: string;
}

/** What is watched besides the workers once the service serves. @param start begins it, and returns what ends it */
export function createWatches(start: () => readonly (() => void)[]) {
  let ends: readonly (() => void)[] = [];
  return {
    begin: (): void => {
      ends = start();
    },
    end: (): void => {
      for (const end of ends) end();
      ends = [];
    },
  };
}

/** Beside the service once that serves, as everything that is watched. */
export function watchAdminServer(
  config: Config,
  { version, log }: Pick<Surroundings, 'version' | 'log'>,
): () => void {
  if (config.admin === null) return () => {};
  let end: (() => void) | null = null;
  let ended = false;
  import('./admin-server.js').then(
    (module) => {
      if (ended) return;
      end = module.startAdminServer(config, { version, now, after, info: log.info, warn: log.warn });
    },
    (error: unknown) => log.warn('the admin server cannot be started', { error }),
  );
  return () => {
    ended = true;
    end?.();
  };
}

export interface LazyBackplane extends Pick<Backplane, 'ask' | 'want' | 'end'> {
  load(): Promise<Backplane>;
  /** The queues of an app that uses some; null: it does not, or there is no answer within `limit` ms. Starts nothing. */
  queues(limit: number): Promise<QueuesAnswer | null>;
}

/** The backplane, whose code is loaded when it is first wanted. */
export function lazyBackplane(
  config: Config,
  { version, log }: Pick<Surroundings, 'version' | 'log'>,
): LazyBackplane {
  let loading: Promise<Backplane> | null = null;
  let ended = false;
  const load = (): Promise<Backplane> => {
    loading ??= import('./backplane.js').then(({ createBackplane }) =>
      createBackplane(config, { version, now, after, info: log.info, warn: log.warn }),
    );
    return loading;
  };
  const complain = (error: unknown): void => log.warn('the backplane cannot be started', { error });
  return {
    want: () => void load().then((backplane) => ended || backplane.want(), complain),
    load,
    ask: async (question, limitMs) => {
      // Whoever only looks starts nothing.
      const isUsed = loading !== null || existsSync(backplaneDirectory(config.stateDir));
      if (!isUsed && question.kind === 'queues') return { engine: null, queues: [] };
      return (await load()).ask(question, limitMs);
    },
    queues: async (limit) => {
      const backplane = await loading?.catch(() => null);
      if (!backplane?.wanted()) return null;
      return (backplane.ask({ kind: 'queues' }, limit) as Promise<QueuesAnswer>).catch(() => null);
    },
    end: () => {
      ended = true;
      void loading?.then((backplane) => backplane.end(), complain);
    },
  };
}

/** This host's part in a fleet; null where it is alone, and until it has begun. */
export interface LazyFleet {
  readonly now: () => FleetSide | null;
  /** Once it has begun; null: this host is alone. */
  readonly ready: Promise<FleetSide | null>;
  /** Tells what anybody may know of it; nothing where the backplane does not answer. */
  readonly tell: (take: (fleet: PublicFleet | null) => void) => void;
  readonly begin: () => () => void;
}

export interface LazyFleetSeam extends Pick<Surroundings, 'log'> {
  readonly backplane: () => Promise<Backplane>;
  readonly stats: () => ClusterStats;
  readonly release: () => string | null;
  readonly commands: () => Pick<Commands, 'deploy' | 'reload' | 'subscribe'>;
}

export function lazyFleet({ fleet }: Config, { log, backplane, ...seam }: LazyFleetSeam): LazyFleet {
  if (!isInFleet(fleet)) {
    return {
      now: () => null,
      ready: Promise.resolve(null),
      tell: (take) => take(null),
      begin: () => () => {},
    };
  }
  let side: FleetSide | null = null;
  let begun: (side: FleetSide | null) => void = () => {};
  const ready = new Promise<FleetSide | null>((resolve) => {
    begun = resolve;
  });
  let ended = false;
  const begin = async (): Promise<void> => {
    const [{ createFleetSide, deployHere, reloadHere, summaryOf }, process] = await Promise.all([
      import('./fleet.js'),
      backplane(),
    ]);
    if (ended) return;
    side = createFleetSide({
      backplane: process,
      oneAtATime: fleet.reload === 'one-at-a-time',
      summary: () => summaryOf(seam.stats(), seam.release()),
      reload: (options) => reloadHere(seam.commands(), options),
      deploy: (command) => deployHere(seam.commands(), command),
      info: log.info,
      warn: log.warn,
      each: (ms, call) => {
        const timer = setInterval(call, ms).unref();
        return () => clearInterval(timer);
      },
    });
    begun(side);
  };
  return {
    now: () => side,
    ready,
    tell: (take) => {
      if (side === null) take(null);
      else
        side.stats().then(
          (stats) => take(publicFleet(stats)),
          () => {},
        );
    },
    begin: () => {
      void begin().catch((error: unknown) => {
        log.warn('this host cannot join the fleet', { error });
        begun(null);
      });
      return () => {
        ended = true;
        begun(null);
        side?.end();
      };
    },
  };
}

export function watchEventLoop(
  { health, log: config }: Config,
  { serviceManager, log }: Pick<Surroundings, 'serviceManager' | 'log'>,
): () => void {
  return startWatchdog({
    // A service manager that is pinged watches the master itself.
    timeout: serviceManager.pingInterval === null ? health.masterTimeout : 0,
    config,
    onBegun: () => log.debug('a thread watches the event loop of the master'),
    onProblem: (error) =>
      log.warn('the watchdog thread ended: nothing watches the event loop of the master', { error }),
  });
}
