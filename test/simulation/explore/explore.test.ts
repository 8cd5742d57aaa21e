import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { initialState } from '../../../src/core/state.js';
import { nextDeadline, step } from '../../../src/core/step.js';
import type { PolicyPart } from '../sim-policy.js';
import { explore } from './explorer.js';
import { type Budget, explorePolicy, idle, mirroredReload, nothing, serving } from './world.js';

const core = { step, initialState, nextDeadline };
/** Moves beyond the default depth; each takes two to three times as long as the one before. */
const deeper = Number(process.env.EXPLORE_DEEPER ?? 0);

interface Campaign {
  readonly title: string;
  readonly budget: Partial<Budget>;
  /** Depth for one, two and three workers. */
  readonly depths: readonly number[];
  readonly beyondStop?: boolean;
  readonly policy?: PolicyPart;
}

const campaigns: readonly Campaign[] = [
  { title: 'a reload and two deaths', budget: { reloads: 1, crashes: 2 }, depths: [8, 6, 5] },
  { title: 'a reload and a worker that hangs', budget: { reloads: 1, hangs: 1 }, depths: [9, 7, 5] },
  { title: 'two reloads', budget: { reloads: 2 }, depths: [9, 8, 6] },
  { title: 'commands', budget: { reloads: 1, scales: 1, restarts: 1 }, depths: [7, 5, 4] },
  {
    title: 'deaths among commands',
    budget: { crashes: 1, reloads: 1, scales: 1, restarts: 1 },
    depths: [5, 4, 3],
  },
  {
    title: 'a stop in the middle of it all',
    budget: { crashes: 1, hangs: 1, reloads: 1, scales: 1 },
    depths: [5, 4, 3],
    beyondStop: true,
  },
  {
    title: 'a spare, a reload and a death',
    budget: { reloads: 1, crashes: 1 },
    policy: { spares: 1 },
    depths: [8, 6, 5],
  },
  {
    title: 'a mirrored canary, a death and a worker that hangs',
    budget: { reloads: 1, crashes: 1, hangs: 1 },
    policy: mirroredReload,
    depths: [8, 6, 4],
  },
  {
    title: 'two mirrored reloads among commands, beside a spare',
    budget: { reloads: 2, scales: 1 },
    policy: { ...mirroredReload, spares: 1 },
    depths: [6, 5, 4],
  },
  {
    title: 'a spare among commands',
    budget: { crashes: 1, scales: 1, restarts: 1 },
    policy: { spares: 1 },
    depths: [6, 5, 4],
  },
  {
    title: 'hangs between pings, with a spare',
    budget: { hangs: 2, recoveries: 1 },
    policy: { spares: 1, pingInterval: 3_000 },
    depths: [8, 7, 6],
  },
  {
    title: 'too much memory, in a worker and in all',
    budget: { illnesses: 2, shortages: 1, crashes: 1 },
    depths: [8, 7, 6],
  },
  {
    title: 'a number that follows the load, among crashes, reloads and commands',
    budget: { loads: 2, reloads: 1, scales: 1, crashes: 1 },
    policy: { workers: '1..3', scale: { target: 0.7, downAfter: 1_000 } },
    depths: [4],
  },
  {
    title: 'a number that follows the load, for long',
    budget: { loads: 2, hangs: 1 },
    policy: { workers: '1..3', scale: { target: 0.7, downAfter: 1_000 } },
    depths: [7],
  },
];

describe('the core, explored', () => {
  for (const { title, budget, depths, beyondStop = false, policy: more } of campaigns) {
    for (const [index, depth] of depths.entries()) {
      const workers = index + 1;
      test(`keeps its promises to ${workers} workers, ${title}: ${depth + deeper} moves deep`, (context) => {
        const policy = explorePolicy(workers, more);
        const root = serving(core, { left: { ...nothing, ...budget }, policy });
        const begun = performance.now();
        const { states, transitions, complete } = explore({
          core,
          policy,
          root,
          depth: depth + deeper,
          beyondStop,
        });
        const took = Math.round(performance.now() - begun);
        context.diagnostic(
          `${states} states, ${transitions} moves in ${took} ms${complete ? ', all there are' : ''}`,
        );
        assert.ok(states > 100);
      });
    }
  }

  test('keeps its promises from the very start', () => {
    const policy = explorePolicy(2);
    const root = idle(core, { ...nothing, crashes: 2, hangs: 1 });
    assert.ok(explore({ core, policy, root, depth: 8 + deeper, beyondStop: true }).states > 1_000);
  });
});
