import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Effect } from '../../../src/core/effects.js';
import { initialState } from '../../../src/core/state.js';
import { nextDeadline, step } from '../../../src/core/step.js';
import { slotOf } from '../../../src/core/workers.js';
import type { WhyLine } from '../../../src/protocol/why.js';
import { createNarrator } from '../../../src/record/narrator.js';
import type { Turn } from '../../../src/record/turn.js';
import { moves } from '../../simulation/explore/moves.js';
import { type Core, explorePolicy, play, serving } from '../../simulation/explore/world.js';
import { scenarios } from '../../simulation/scenarios/scenarios.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { narrated, simEpoch, turnsOf } from '../../simulation/turns.js';
import { repoRoot } from '../../support/process.js';
import { stories } from './stories.js';

/** UPDATE_SCENARIOS=1 writes the narrations anew; the difference is then read and judged by a person. */
const update = process.env.UPDATE_SCENARIOS === '1';
const file = join(repoRoot, 'test/unit/record/narrations.txt');

describe('the narration', () => {
  const told: string[] = [];
  const known = new Map(
    (existsSync(file) ? readFileSync(file, 'utf8') : '')
      .split(/^## /m)
      .slice(1)
      .map((part) => [part.split('\n')[0], part.slice(part.indexOf('\n') + 1)]),
  );
  for (const { title, options, script } of [...scenarios, ...stories]) {
    test(`is as it was written down: ${title}`, () => {
      const cluster = new SimCluster(options);
      script(cluster);
      const turns = turnsOf(cluster);
      const lines = narrated(turns);
      const text = `\n${lines.map(asText).join('\n')}\n\n`;
      told.push(`## ${title}\n${text}`);
      if (!update) assert.equal(text, known.get(title), 'UPDATE_SCENARIOS=1 writes it');
      assertSound(turns);
    });
  }
  if (update)
    test('is written down', () => writeFileSync(file, `# What \`rom-agent why\` says\n\n${told.join('')}`));

  test('has a cause for each fork, kill and drain of random ways, and no word is missing', () => {
    let made = 0;
    const details = fc.check(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 0, max: 2 }),
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
          minLength: 20,
          maxLength: 80,
        }),
        (workers, spares, shares) => {
          const policy = {
            ...explorePolicy(workers, { spares, pingInterval: 3_000 }),
            restart: { ...explorePolicy(workers).restart, intensity: 8 },
          };
          const turns: Turn[] = [];
          const core: Core = {
            initialState,
            nextDeadline,
            step: (before, event, now, policy) => {
              const [after, effects] = step(before, event, now, policy);
              turns.push({ now, clockMs: simEpoch + now, event, policy, before, after, effects });
              return [after, effects];
            },
          };
          let world = serving(core, { left: budget, policy });
          for (const share of shares) {
            const possible = moves({ ...core, step }, world, policy);
            const move = possible[Math.floor(share * possible.length)];
            if (move === undefined) break;
            world = play(core, world, move, policy);
          }
          made += turns.length;
          assertSound(turns);
        },
      ),
      { numRuns: Number(process.env.RANDOM_RUNS ?? 25) },
    );
    const { errorInstance } = details;
    assert.ok(
      !details.failed,
      `${fc.defaultReportMessage(details)}\n${errorInstance instanceof Error ? errorInstance.message : ''}`,
    );
    assert.ok(made > 500, `${made} turns`);
  });
});

const budget = {
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

function asText({ at, kind, text, cause, advice }: WhyLine): string {
  const time = at.slice(11, 23);
  return `${time} [${kind}] ${text}${cause === null ? '' : `: ${cause}`}${advice === null ? '' : `\n             > ${advice}`}`;
}

/** Each fork, kill and drain has a line with a cause, and nothing is missing in any of the sentences. */
function assertSound(turns: readonly Turn[]): void {
  const narrator = createNarrator();
  const told: WhyLine[] = [];
  for (const turn of turns) {
    const lines = narrator.narrate(turn);
    told.push(...lines);
    for (const line of lines) {
      const all = [line.text, line.cause, line.advice].filter((part) => part !== null).join(' ');
      assert.doesNotMatch(all, /undefined|null|NaN|\[object|: $|: :|\( |\s{2}/, asText(line));
      assert.ok(line.cause !== '' && line.text !== '', asText(line));
    }
    const { after, before } = turn;
    for (const effect of turn.effects) {
      const kinds = kindsOf[effect.type];
      if (kinds === undefined || !('key' in effect)) continue;
      if (before.cell.workers.some(({ key }) => key === effect.key)) {
        // Why it was killed is told with its exit.
        const isTold = lines.some(({ text, cause }) => text.startsWith('the cell') && cause !== null);
        assert.ok(isTold || effect.type === 'kill', JSON.stringify(effect));
        continue;
      }
      const worker = [...after.workers, ...before.workers].find(({ key }) => key === effect.key);
      const line = lines.find(
        (line) =>
          kinds.includes(line.kind) &&
          worker !== undefined &&
          line.worker === slotOf(worker) &&
          line.cause !== null,
      );
      assert.ok(
        line !== undefined,
        `${JSON.stringify(effect)} has no cause in\n${lines.map(asText).join('\n')}`,
      );
      const says = !empty.has(line.cause ?? '');
      assert.ok(says, `a cause that says nothing, at the end of\n${told.map(asText).join('\n')}`);
    }
  }
}

/** What is said where nobody knows better. */
const empty: ReadonlySet<string> = new Set(['nobody serves its slot', 'it is not wanted any more']);

const kindsOf: Partial<Record<Effect['type'], readonly string[]>> = {
  fork: ['started'],
  promote: ['started'],
  kill: ['killed', 'died'],
  drain: ['draining'],
};
