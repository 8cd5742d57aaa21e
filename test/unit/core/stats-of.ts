import { clusterStats } from '../../../src/core/stats.js';
import type { ClusterStats } from '../../../src/protocol/stats.js';
import type { SimCluster } from '../../simulation/sim-cluster.js';

/** The stats of a simulated cluster, as the control socket has them. */
export function statsOf({ state, now }: SimCluster): ClusterStats {
  const master = { pid: 1, version: '0', node: 'v20', rssBytes: 1 } as never;
  return clusterStats(state, { now, kind: 'server', mode: 'cluster', master, records: [] });
}
