import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decide, type Journal, type ReloadState, type Situation } from '../../../src/deploy/decide.js';
import { deployStages } from '../../../src/protocol/deploy.js';

const journal: Journal = {
  ...{ version: 1, id: 'new', ref: null, commit: null, by: 'alice', origin: 'command', atMs: 0 },
  ...{ stage: 'check', previous: 'old', outcome: null },
};
const situation: Situation = {
  disk: { current: 'old', hasPrevious: true },
  reload: { state: 'none' },
  when: 'running',
};
const switched = { current: 'new', hasPrevious: true };
const reloads: readonly ReloadState[] = [
  { state: 'none' },
  { state: 'running' },
  { state: 'done' },
  { state: 'bad', reason: 'worse' },
];

describe('what becomes of an interrupted deploy', () => {
  for (const stage of ['check', 'fetch', 'step', 'seal'] as const) {
    test(`at the stage ${stage} it goes back`, () => {
      const { do: what, ...outcome } = decide({ ...journal, stage }, situation);
      assert.equal(what, 'back');
      assert.deepEqual(outcome, { verdict: 'interrupted', reason: `interrupted at the stage ${stage}` });
    });
  }

  test('before the link was switched it goes back, behind it the reload follows', () => {
    const at = { ...journal, stage: 'switch' } as const;
    assert.equal(decide(at, situation).do, 'back');
    assert.equal(decide(at, { ...situation, disk: switched }).do, 'reload');
  });

  test('a reload that is under way is waited for, and its verdict counts', () => {
    const at = { ...journal, stage: 'reload' } as const;
    const outcomes = reloads.map((reload) => decide(at, { ...situation, disk: switched, reload }));
    assert.deepEqual(outcomes, [
      { do: 'reload' },
      { do: 'wait' },
      { do: 'finish', verdict: 'done', reason: null },
      { do: 'back', verdict: 'rolled-back', reason: 'worse' },
    ]);
  });

  test('a start takes the release that was proven last', () => {
    const at = { ...journal, stage: 'reload' } as const;
    const start = { ...situation, disk: switched, when: 'start' } as const;
    assert.equal(decide(at, start).do, 'back');
    assert.equal(decide(at, { ...start, reload: { state: 'done' } }).do, 'finish');
    assert.equal(decide({ ...at, previous: null }, start).do, 'finish', 'there is nothing to go back to');
  });

  test('a link that somebody else has moved is left alone', () => {
    const disk = { current: 'other', hasPrevious: true };
    const decision = decide({ ...journal, stage: 'reload' }, { ...situation, disk });
    assert.ok(decision.do === 'back' && /current leads to other/.test(decision.reason ?? ''));
  });

  test('the way back and the end are gone on with', () => {
    const outcome = { verdict: 'rolled-back', reason: 'worse' } as const;
    assert.deepEqual(decide({ ...journal, stage: 'back', outcome }, situation), { do: 'back', ...outcome });
    assert.equal(decide({ ...journal, stage: 'prune' }, { ...situation, disk: switched }).do, 'finish');
  });

  test('every stage answers every situation, and a start never waits', () => {
    for (const stage of deployStages)
      for (const reload of reloads)
        for (const current of ['old', 'new', 'other', null])
          for (const hasPrevious of [true, false])
            for (const previous of ['old', null]) {
              const disk = { current, hasPrevious };
              const at = decide({ ...journal, stage, previous }, { disk, reload, when: 'start' });
              assert.ok(at.do === 'back' || at.do === 'finish', `${stage}: ${at.do}`);
              decide({ ...journal, stage, previous }, { disk, reload, when: 'running' });
            }
  });
});
