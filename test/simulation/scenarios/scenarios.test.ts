import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repoRoot } from '../../support/process.js';
import { SimCluster } from '../sim-cluster.js';
import { scenarios } from './scenarios.js';

/** UPDATE_SCENARIOS=1 writes the transcripts anew; the difference is then read and judged by a person. */
const update = process.env.UPDATE_SCENARIOS === '1';

for (const { name, title, options, script } of scenarios) {
  test(`the transcript "${name}" is as it was written down`, () => {
    const cluster = new SimCluster(options);
    script(cluster);
    const transcript = `${title}\n\n${cluster.transcript()}\n`;
    const file = join(repoRoot, 'test', 'simulation', 'scenarios', `${name}.txt`);
    if (update) writeFileSync(file, transcript);
    assert.ok(existsSync(file), `${file} is missing; UPDATE_SCENARIOS=1 writes it`);
    assert.equal(transcript, readFileSync(file, 'utf8'));
    const { life } = cluster.state;
    assert.equal(life.phase, 'ended', 'a transcript goes to the end');
  });
}
