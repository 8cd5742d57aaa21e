import { initialState } from '../../src/core/state.js';
import { step } from '../../src/core/step.js';
import type { WhyLine } from '../../src/protocol/why.js';
import { createEncoder } from '../../src/record/encode.js';
import { createNarrator } from '../../src/record/narrator.js';
import type { Turn } from '../../src/record/turn.js';
import type { SimCluster } from './sim-cluster.js';

/** Wall clock at the begin of a simulation. */
export const simEpoch = Date.UTC(2026, 10, 27, 2, 0, 0);

/** What the core was given in a simulation, and what it answered. */
export function turnsOf(cluster: SimCluster, seed = 1): readonly Turn[] {
  let before = initialState({ seed });
  return cluster.turns.map(({ at: now, event }) => {
    const { policy } = cluster;
    const [after, effects] = step(before, event, now, policy);
    const turn: Turn = { now, clockMs: simEpoch + now, event, policy, before, after, effects };
    before = after;
    return turn;
  });
}

export function narrated(turns: readonly Turn[]): readonly WhyLine[] {
  const narrator = createNarrator();
  return turns.flatMap((turn) => narrator.narrate(turn));
}

export const simRun = { version: '0.1.0', build: 'simulated', node: 'v0.0.0', pid: 1 };

/** A record, begun anew after so many turns. */
export function recorded(turns: readonly Turn[], { beginEvery = Number.POSITIVE_INFINITY } = {}): string {
  const encoder = createEncoder(simRun);
  return turns
    .map((turn, index) => {
      const begin = index % beginEvery === 0 || index === 0 ? encoder.begin(turn) : '';
      return `${begin}${encoder.encode(turn)}`;
    })
    .join('');
}
