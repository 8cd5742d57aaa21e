import { withWorkers } from '../config/resolve.js';
import { backplaneSocketOf, backplaneSocketVariable } from '../protocol/backplane-process.js';
import { build } from '../protocol/build.js';
import { cellSocketOf, cellVariable } from '../protocol/cell.js';
import { numberVariables, type WorkerSettings } from '../protocol/settings.js';
import { withoutOwnVariables } from '../service-manager/service-manager.js';
import type { Config } from '../settings/config.js';
import { workerShare } from '../settings/config.js';
import { heartbeatInterval } from './policy.js';
import type { Launch } from './pool.js';
import type { Release } from './releases.js';

/*
 * How a worker gets what it has to know. For the core's effect `fork`, master/perform.ts takes the release of the worker's
 * generation, and calls `workerSettings` and `launchOf`. The pool (pool.ts) starts the process with what they return: the
 * settings are JSON in one variable of its environment, ROM_AGENT_WORKER. In the worker, worker/main.ts takes them out of
 * it (`takeSettings` in protocol/settings.ts), so that the app never sees them, and passes them to worker/serve.ts, which
 * gives each part what it reads. No message changes them later, but for the slot, which a spare gets by `promote`: a reload
 * replaces the worker. Limits that the master keeps (`readers: ['policy']`, such as `drain_timeout`) are not among them, but
 * for what a worker has to know in advance: `portWait` and `probeWait` are parts of `boot_timeout`, `heartbeatInterval` is
 * one of `hang_timeout`.
 */

export interface Surroundings {
  readonly version: string;
  /** CPUs that the process may use. */
  readonly cpus: number;
  readonly listen: WorkerSettings['listen'];
  readonly outputFile: WorkerSettings['outputFile'];
}

/** What the settings of a worker depend on apart from the configuration: its slot and the workers that serve. */
export interface WorkerPlace
  extends Pick<WorkerSettings, 'generation' | 'siblings' | 'onTrial' | 'workersAtStart'> {
  /** null: a spare. */
  readonly slot: number | null;
}

/** How long an app that listens elsewhere is waited for, ms: within its boot's limit, at half of it at the latest. */
const longestPortWait = 10_000;

/** Of `boot_timeout`, which begins with the fork: a worker tells what was wrong before it is killed. */
const probeShare = 0.9;

/** What a worker has to know. */
export function workerSettings(
  { config }: Release,
  { slot: worker, generation, siblings, onTrial, workersAtStart }: WorkerPlace,
  { version, cpus, listen, outputFile }: Surroundings,
): WorkerSettings {
  return {
    ...workerShare(config),
    worker,
    generation,
    heartbeatInterval: heartbeatInterval(config),
    version,
    build,
    cpus,
    workersAtStart,
    listen,
    outputFile,
    execArgv: appFlags(config),
    siblings,
    onTrial,
    portWait: Math.min(longestPortWait, config.bootTimeout / 2),
    probeWait: config.bootTimeout * probeShare,
    cell: null,
  };
}

/** What the cell has to know: what it serves is counted, logged and limited by the workers that pass it on. */
export function cellSettings(
  release: Release,
  { key, ...place }: Pick<WorkerPlace, 'generation' | 'workersAtStart'> & { readonly key: number },
  surroundings: Surroundings,
): WorkerSettings {
  const { poison, controlSocket } = release.config;
  const settings = workerSettings(
    release,
    { ...place, slot: null, siblings: null, onTrial: false },
    surroundings,
  );
  return {
    ...settings,
    dispatch: 'shared',
    listenWait: 0,
    sticky: 'off',
    workerPorts: null,
    accessLog: { ...settings.accessLog, format: 'off' },
    metrics: { ...settings.metrics, enabled: 'off' },
    shed: { ...settings.shed, eventLoopDelay: 0, inFlight: 0 },
    health: { ...settings.health, check: null },
    cell: { socket: cellSocketOf(controlSocket, key), requests: poison.cellRequests },
  };
}

/** Its heap is no larger than the limit of its resident set. */
export function cellLaunch(release: Release, workers: number): Launch {
  const launch = launchOf(release, { worker: null, workers });
  const { maxOldSpaceSize, poison } = launch.config;
  const heap = Math.min(maxOldSpaceSize, poison.cellMemory ?? maxOldSpaceSize);
  return {
    ...launch,
    config: { ...launch.config, maxOldSpaceSize: heap },
    env: { ...launch.env, [cellVariable]: '1' },
  };
}

/**
 * How a worker is started. What the app finds in its environment: PORT and HOST as configured, and nothing that was meant
 * for the master.
 *
 * @param workers the number in force, which a computed heap limit follows
 */
export function launchOf(
  { config, effective, cwd }: Release,
  { worker, workers }: { worker: number | null; workers: number },
): Launch {
  const { dotenv, kind, port, host, nodeEnv } = config;
  const own = {
    // An app that is no server would take the default for somebody's wish.
    ...(kind === 'process' && effective.port.from === 'default' ? {} : { PORT: String(port) }),
    NODE_ENV: nodeEnv,
    ...(host === null ? {} : { HOST: host }),
    ...numberVariables(worker),
    [backplaneSocketVariable]: backplaneSocketOf(config.controlSocket),
    // As a shell that has changed there would have it.
    ...(cwd === process.cwd() ? {} : { PWD: cwd }),
  };
  const maxOldSpaceSize = withWorkers(effective.max_old_space_size, workers);
  return {
    config: { ...config, maxOldSpaceSize },
    cwd,
    env: { ...dotenv, ...withoutOwnVariables(process.env), ...own },
  };
}

/**
 * The flags of Node that the app finds in `process.execArgv`, and its children inherit: what the operator gave, and what
 * plain Node would need for the app. What the master adds for itself, the heap's limits among it, is not one of them.
 */
export function appFlags(
  { app, nodeArgs }: Pick<Config, 'app' | 'nodeArgs'>,
  own: readonly string[] = process.execArgv,
): readonly string[] {
  return [...own, ...nodeArgs, ...(needsStripFlag(app) ? ['--experimental-strip-types'] : [])];
}

/** Node strips types by itself from 22.18 on, behind a flag from 22.6 on. */
function needsStripFlag(app: string | null): boolean {
  if (app === null || !/\.[cm]?ts$/.test(app)) return false;
  const flags: ReadonlySet<string> = process.allowedNodeEnvironmentFlags;
  return (
    flags.has('--experimental-strip-types') &&
    !('typescript' in process.features && process.features.typescript)
  );
}
