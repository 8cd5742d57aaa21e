import type { Loaded } from '../config/load.js';
import type { LazyLog } from '../logging/lazy-log.js';
import type { Observation } from '../notify/policy.js';
import type { DeployRecord, DeploySummary } from '../protocol/deploy.js';
import type { Config } from '../settings/config.js';
import type { Deploys } from './deploys.js';

export interface LazyDeploysSeam {
  readonly config: Config;
  readonly load: () => Promise<Loaded>;
  readonly log: Pick<LazyLog, 'info' | 'warn' | 'error'>;
  readonly observe: (seen: Observation) => void;
  readonly after: (delay: number, act: () => void) => () => void;
}

/** Deploys as the master sees them. What they consist of is loaded where `[deploy]` is set, or asked for. */
export interface LazyDeploys {
  get(): Promise<Deploys>;
  /** null where nothing was loaded. */
  summary(): DeploySummary | null;
  counts(): Readonly<Record<string, number>>;
  /** From now on deploys start by schedule, by the configuration in force. */
  schedule(config: Config): void;
  end(): void;
}

export function lazyDeploys({ config, load, log, observe, after }: LazyDeploysSeam): LazyDeploys {
  const counts: Record<string, number> = {
    done: 0,
    unchanged: 0,
    failed: 0,
    'rolled-back': 0,
    interrupted: 0,
  };
  let loading: Promise<Deploys> | null = null;
  let made: Deploys | null = null;
  const make = async (): Promise<Deploys> => {
    const { createDeploys, spawnDeploy } = await import('./deploys.js');
    made = createDeploys({
      load: async () => (await load()).config,
      controlSocket: config.controlSocket,
      spawn: spawnDeploy,
      clock: Date.now,
      after,
      log,
      onRecord: (record) => {
        counts[record.verdict] = (counts[record.verdict] ?? 0) + 1;
        const seen = observationOf(record);
        if (seen !== null) observe(seen);
      },
    });
    return made;
  };
  const get = (): Promise<Deploys> => {
    loading ??= make();
    return loading;
  };
  return {
    get,
    summary: () => made?.summary() ?? null,
    counts: () => counts,
    schedule: (now) => {
      if (now.deploy.source !== null || made !== null)
        void get().then((deploys) => deploys.schedule(now.deploy));
    },
    end: () => made?.end(),
  };
}

function observationOf({ id, verdict, reason, by, origin }: DeployRecord): Observation | null {
  if (verdict === 'done' || verdict === 'unchanged') return null;
  return { type: 'deploy', release: id, verdict, cause: reason ?? 'unknown', by, origin };
}

/** Before the first worker. A service without `[deploy]` loads nothing for it. */
export async function recoverDeploy(config: Config, log: Pick<LazyLog, 'warn'>): Promise<void> {
  if (config.deploy.source === null) return;
  const { recoverAtStart } = await import('./deploys.js');
  await recoverAtStart(config, { clock: Date.now, warn: log.warn });
}
