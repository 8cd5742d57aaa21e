import { slotOf } from '../../src/core/workers.js';
import { type Fork, type Play, SimCluster, type SimOptions } from './sim-cluster.js';

/** Two workers and a spare, a second after the start. */
export function servingWithSpare({ policy, ...rest }: SimOptions = {}): SimCluster {
  return new SimCluster({ policy: { spares: 1, ...policy }, ...rest }).start().run(1_000);
}

/** The first worker of slot 1 does this, the others do well. */
export function first(play: Play): (fork: Fork) => Play {
  return ({ slot, nth }) => (slot === 1 && nth === 1 ? play : {});
}

/** The slot of a spare is null. */
export function forks(cluster: SimCluster) {
  return cluster.effects('fork').map((fork) => [fork.key, slotOf(fork), fork.generation, fork.at]);
}

export function promotions(cluster: SimCluster) {
  return cluster.effects('promote').map(({ key, slot, at }) => [key, slot, at]);
}

export function workers(cluster: SimCluster) {
  return cluster.state.workers.map((worker) => [worker.key, slotOf(worker), worker.generation, worker.phase]);
}
