import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { corpusScript } from '../corpus.js';
import { type Mutation, mutations, unguarded } from '../mutations.js';
import { each, type NextScript, playRound, untilDisturbed } from '../round.js';
import { buildVariant, restless } from '../variant.js';

/** Plays at once: a drain, or a move, does not meet every one of them. */
const lanes = 8;
const plays = 2 * lanes;
/** A worker drains once in a second or two: the script is played until so many reloads have succeeded. */
const reloads = 4;
const mostPlays = 2_000;
/** A machine that is busy with other things needs several rounds until a move meets the right moment. */
const rounds = 4;

const folder = mkdtempSync(join(tmpdir(), 'rom-agent-mutations-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describe('the fuzzer finds a daemon in which', () => {
  for (const mutation of mutations)
    test(mutation.fault, async (context) => {
      const main = await buildVariant(folder, [...restless, ...mutation.plants]);
      const found = await firstFinding(main, mutation);
      assert.ok(found !== undefined, 'nobody noticed');
      context.diagnostic(found.slice(0, 300));
    });
});

test('a worker that would move connections in the middle of a message finds that out, and moves none', async () => {
  const main = await buildVariant(folder, [...restless, ...unguarded]);
  const next = each([corpusScript('a slow head')], plays);
  const { findings, moves } = await playRound(next, { mode: 'balance', refuses: true, main, lanes });
  assert.deepEqual(findings, []);
  assert.equal(moves, 0);
});

async function firstFinding(main: string, { mode, script }: Mutation): Promise<string | undefined> {
  for (let round = 0; round < rounds; round++) {
    const next: NextScript =
      mode === 'reload' ? untilDisturbed(script, reloads, mostPlays) : each([script], plays);
    const { findings } = await playRound(next, { mode, main, lanes });
    const [first] = findings;
    if (first !== undefined) return first.what;
  }
  return undefined;
}
