import { type Fork, type Play, SimCluster, type SimOptions } from './sim-cluster.js';

/** Two workers and a spare, a second after the start; spares have slot 0. */
export function servingWithSpare({ policy, ...rest }: SimOptions = {}): SimCluster {
  return new SimCluster({ policy: { spares: 1, ...policy }, ...rest }).start().run(1_000);
}

/** The first worker of slot 1 does this, the others do well. */
export function first(play: Play): (fork: Fork) => Play {
  return ({ slot, nth }) => (slot === 1 && nth === 1 ? play : {});
}

export function forks(cluster: SimCluster) {
  return cluster.effects('fork').map(({ key, slot, generation, at }) => [key, slot, generation, at]);
}

export function promotions(cluster: SimCluster) {
  return cluster.effects('promote').map(({ key, slot, at }) => [key, slot, at]);
}

export function workers(cluster: SimCluster) {
  return cluster.state.workers.map(({ key, slot, generation, phase }) => [key, slot, generation, phase]);
}
