import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { corpusFor, generated } from '../campaign.js';
import { each, type NextScript, playRound, type RoundResult } from '../round.js';
import { toJson } from '../script.js';
import type { Mode } from '../services.js';
import { buildVariant, restless } from '../variant.js';

/** The same scripts every time: `make fuzz` looks for new ones. */
const seed = 2_000;
const scripts = 16;
const lanes = 32;

const titles = {
  balance: 'while connections move all the time',
  'sticky-address': 'while clients stick to workers by their address',
  'sticky-cookie': 'while clients stick to workers by a cookie',
  reload: 'while workers drain and new ones take over',
  kill: 'while workers are killed',
} as const;

// Most of the time scripts wait: three services at once are not slower than one.
describe('what clients see and what the app executes is as under node itself', { concurrency: 3 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-sample-'));
  let main = '';
  before(async () => {
    main = await buildVariant(folder, restless);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const playsAsNode = async (mode: Mode, next: NextScript): Promise<void> => {
    const result = await playRound(next, { mode, main, lanes });
    assert.equal(told(result), '');
  };
  for (const [mode, title] of Object.entries(titles) as [keyof typeof titles, string][]) {
    test(title, () => {
      const corpus = each(corpusFor(mode));
      const others = generated({ mode, seed, count: scripts });
      return playsAsNode(mode, (times) => corpus(times) ?? others(times));
    });
  }
});

/** Each finding with its script, which FUZZ_SCRIPT plays again. */
function told({ findings }: RoundResult): string {
  return findings.map(({ script, what }) => `${what}\n${script === null ? '' : toJson(script)}\n`).join('\n');
}
