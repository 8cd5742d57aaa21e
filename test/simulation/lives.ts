import { SimCluster } from './sim-cluster.js';

/** A master in each phase of its life. Worker 1 is of interest, worker 2 keeps it company. */
export const lives = {
  idle: () => new SimCluster(),
  starting: () => new SimCluster({ play: () => ({ boot: null }) }).start().run(500),
  serving: () => new SimCluster().start().run(500),
  leaving: () => new SimCluster({ policy: { lameDuck: 60_000 } }).start().run(2_000).stop(),
  stopping: () =>
    new SimCluster({ play: () => ({ drain: 9_000, hang: 1 }) }).start().run(500).stop().run(500),
  failing: () => {
    const bootFailure = { after: 300, failure: { message: 'no', exitCode: 70 } };
    const play = ({ slot }: { slot: number | null }) => (slot === 1 ? { hang: 1 } : { bootFailure });
    return new SimCluster({ play }).start().run(500);
  },
  ended: () => new SimCluster().start().run(500).stop().runToEnd(),
  canary: () => reloading(50),
  soaking: () => reloading(150),
  mirrored: () => mirroring(),
  rolling: () => reloading(2_150),
  rollback: () => {
    const cluster = reloading(2_150);
    cluster.ask({ type: 'abort', by: 'alice' });
    return cluster;
  },
} satisfies Record<string, () => SimCluster>;

function mirroring(): SimCluster {
  const cluster = new SimCluster({ policy: { reload: { mirror: 'safe' } } }).start().run(500);
  cluster.reload();
  return cluster.run(150);
}

/** So long after it was asked for. */
function reloading(duration: number): SimCluster {
  const cluster = new SimCluster().start().run(500);
  cluster.reload();
  return cluster.run(duration);
}
