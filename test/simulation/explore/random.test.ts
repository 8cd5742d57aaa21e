import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { initialState } from '../../../src/core/state.js';
import { nextDeadline, step } from '../../../src/core/step.js';
import { livenesses, Proof } from './liveness.js';
import { moves } from './moves.js';
import { type Budget, explorePolicy, play, serving, Violation } from './world.js';

const core = { step, initialState, nextDeadline };
const left: Budget = {
  crashes: 6,
  hangs: 4,
  recoveries: 2,
  illnesses: 3,
  shortages: 3,
  reloads: 6,
  scales: 6,
  restarts: 6,
  loads: 6,
};
const quickly = { target: 0.7, downAfter: 1_000 };
/** RANDOM_RUNS=100000 looks for longer, RANDOM_SEED goes the same ways again. */
const numRuns = Number(process.env.RANDOM_RUNS ?? 1_000);
const seed = process.env.RANDOM_SEED === undefined ? {} : { seed: Number(process.env.RANDOM_SEED) };

/** Which of the moves that are possible is made, as a share of their number: short lists stay meaningful as they shrink. */
const choices = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
  minLength: 20,
  maxLength: 120,
});

test('long random ways with up to eight workers keep the invariants, and end well from where they lead', () => {
  const steps = { made: 0, stopped: 0, reloads: 0 };
  const details = fc.check(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 0, max: 3 }),
      fc.constantFrom(0, 0, 0, 2),
      choices,
      (workers, spares, scaled, shares) => {
        const range = scaled === 0 ? workers : (`${workers}..${workers + scaled}` as const);
        const policy = {
          ...explorePolicy(workers, { workers: range, scale: quickly, spares, pingInterval: 3_000 }),
          restart: { ...explorePolicy(workers).restart, intensity: 8 },
        };
        let world = serving(core, { left, policy });
        const way: string[] = [];
        try {
          for (const [index, share] of shares.entries()) {
            const possible = moves(core, world, policy).filter(
              ({ words }) => index > 60 || !words.startsWith('stop'),
            );
            const move = possible[Math.floor(share * possible.length)];
            if (move === undefined) break;
            way.push(move.words);
            world = play(core, world, move, policy);
            steps.made += 1;
          }
          for (const liveness of livenesses) new Proof(liveness).check(core, world, policy);
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          throw new Violation(`${reason}\n  after: ${way.join('\n         ')}`, { cause: error });
        }
        steps.stopped += world.state.life.phase === 'serving' ? 0 : 1;
        steps.reloads += world.next - 2;
      },
    ),
    { numRuns, ...seed },
  );
  assert.ok(!details.failed, `${fc.defaultReportMessage(details)}\n${reasonOf(details.errorInstance)}`);
  assert.ok(
    steps.made > 20 * numRuns && steps.reloads > numRuns && steps.stopped > numRuns / 20,
    JSON.stringify(steps),
  );
});

/** What is left of it when the runner tells it: the message alone. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
