import { readFileSync } from 'node:fs';
import type { Config } from '../config/config.js';
import { clusterStats } from '../core/cluster-stats.js';
import type { Effect } from '../core/effects.js';
import type { WorkerSettings } from '../ipc/settings.js';
import type { Supervisor } from '../supervisor/supervisor.js';
import { withoutSupervisor } from '../supervisor/supervisor.js';
import { banner } from '../telemetry/banner.js';
import type { LazyLog } from '../telemetry/lazy-log.js';
import { adviceFor } from './advice.js';
import { clearStaleSocket, listenTarget } from './listen-target.js';
import { createMailbox, type Mailbox } from './mailbox.js';
import { policyOf } from './policy.js';
import { createPool, type Pool } from './pool.js';
import { noReaper, startReaper } from './reaper.js';
import { onSignals } from './signals.js';

export interface ServeOptions {
  readonly config: Config;
  readonly supervisor: Supervisor;
  readonly log: LazyLog;
  readonly version: string;
  /** CPUs that the process may use. */
  readonly cpus: number;
  /** Writes the start-up banner; null where nobody would read it. */
  readonly printBanner: ((text: string) => void) | null;
}

/**
 * The composition root of the master. Resolves to the exit status once the service has ended.
 *
 * @throws RomAgentError where it cannot even begin
 */
export async function serve(options: ServeOptions): Promise<number> {
  const { config, supervisor, log, version, cpus } = options;
  const listen = listenTarget(config, supervisor.sockets);
  if (listen.kind === 'path') await clearStaleSocket(listen.path);
  const settings: Omit<WorkerSettings, 'worker'> = { ...pickSettings(config), version, cpus, listen };
  const reaper = supervisor.reapsOrphans ? noReaper : startReaper({ limit: config.orphanTimeout });
  const { promise, resolve } = deferred<number>();

  const mailbox: Mailbox = createMailbox({
    policy: policyOf(config, supervisor),
    seed: Math.floor(Math.random() * 2 ** 32),
    now: () => Math.round(performance.now()),
    wake: oneTimer(),
    perform: (effect) => perform(effect, { options, settings, pool, end: resolve }),
  });
  const pool = createPool({
    config,
    env: workerEnvironment(config),
    post: mailbox.post,
    onPid: (pid, alive) => (alive ? reaper.watch(pid) : reaper.forget(pid)),
    onMalformed: (key, reason) => log.warn('a worker sent a malformed message', { key, reason }),
    onStatsRequest: (key, id) => pool.send(key, { type: 'stats', id, stats: statsOf(mailbox, options) }),
  });
  const forgetSignals = onSignals(process, mailbox.post);
  mailbox.post({ type: 'start' });
  for (const advice of adviceFor(config, (path) => readFileSync(path, 'utf8'))) log.warn(advice);
  const exitCode = await promise;
  forgetSignals();
  reaper.dismiss();
  return exitCode;
}

interface Means {
  readonly options: ServeOptions;
  readonly settings: Omit<WorkerSettings, 'worker'>;
  readonly pool: Pool;
  readonly end: (exitCode: number) => void;
}

function perform(effect: Effect, { options, settings, pool, end }: Means): void {
  const { supervisor, log } = options;
  switch (effect.type) {
    case 'fork':
      return pool.fork(effect.key, { ...settings, worker: effect.slot });
    case 'drain':
      return pool.send(effect.key, { type: 'drain', timeout: effect.timeout, last: effect.last });
    case 'release':
      return pool.send(effect.key, { type: 'release' });
    case 'kill':
      return pool.kill(effect.key);
    case 'notify': {
      const { type, ...notification } = effect;
      return supervisor.notify(notification);
    }
    case 'log':
      return log[effect.level](effect.message, effect.fields);
    case 'serving':
      return printBanner(options, effect.urls);
    case 'exit':
      return end(effect.code);
  }
}

function printBanner({ config, version, printBanner }: ServeOptions, urls: readonly string[]): void {
  const { mode, workers } = config;
  const colour = process.env.NO_COLOR === undefined;
  printBanner?.(banner({ name: 'ROM Agent', version, mode, workers, urls, pid: process.pid, colour }));
}

function statsOf(mailbox: Mailbox, { config, version }: ServeOptions) {
  const master = { pid: process.pid, version, node: process.version, rss: process.memoryUsage.rss() };
  return clusterStats(mailbox.state(), { now: Math.round(performance.now()), mode: config.mode, master });
}

function pickSettings(config: Config): Omit<WorkerSettings, 'worker' | 'version' | 'cpus' | 'listen'> {
  const { app, mode, dispatch, linger, orphanTimeout, websockets, routesPrefix, log } = config;
  return { app, mode, dispatch, linger, orphanTimeout, websockets, routesPrefix, log };
}

/** What the app finds in its environment: PORT and HOST as configured, and nothing that was meant for the master. */
function workerEnvironment({ dotenv, port, host, nodeEnv }: Config): NodeJS.ProcessEnv {
  const own = { PORT: String(port), NODE_ENV: nodeEnv, ...(host === null ? {} : { HOST: host }) };
  return { ...dotenv, ...withoutSupervisor(process.env), ...own };
}

function oneTimer(): (after: number, callback: () => void) => void {
  let timer: NodeJS.Timeout | undefined;
  return (after, callback) => {
    clearTimeout(timer);
    timer = setTimeout(callback, after);
  };
}

function deferred<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
