import {
  accessSync,
  appendFileSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
} from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../support/wait.js';

export interface Quota {
  /** A cgroup that may use so many CPUs. It goes when it is empty. */
  make(cpus: number): { readonly directory: string; remove(): Promise<void> };
}

const period = 100_000;

/** How to limit CPUs here, or why that cannot be done. */
export function cpuQuota(): Quota | string {
  if (process.platform !== 'linux') return 'cgroups are Linux';
  return v1() ?? v2() ?? 'no cgroup with CPU quotas can be made here';
}

function v1(): Quota | null {
  const parent = ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup/cpu,cpuacct'].find((point) =>
    existsSync(join(point, 'cpu.cfs_quota_us')),
  );
  if (parent === undefined || !writable(parent)) return null;
  return quotaBelow(parent, (directory, cpus) => {
    appendFileSync(join(directory, 'cpu.cfs_period_us'), String(period));
    appendFileSync(join(directory, 'cpu.cfs_quota_us'), String(cpus * period));
  });
}

function v2(): Quota | null {
  const parent = '/sys/fs/cgroup';
  const controllers = join(parent, 'cgroup.subtree_control');
  if (!existsSync(controllers) || !writable(parent)) return null;
  if (!readFileSync(controllers, 'utf8').split(/\s+/).includes('cpu')) return null;
  return quotaBelow(parent, (directory, cpus) =>
    appendFileSync(join(directory, 'cpu.max'), `${cpus * period} ${period}`),
  );
}

function quotaBelow(parent: string, limit: (directory: string, cpus: number) => void): Quota {
  return {
    make: (cpus) => {
      const directory = join(parent, `rom-agent-test-${process.pid}`);
      mkdirSync(directory);
      const remove = () =>
        waitFor('an empty cgroup', () => {
          rmdirSync(directory);
          return true;
        });
      limit(directory, cpus);
      return { directory, remove: async () => void (await remove()) };
    },
  };
}

function writable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
