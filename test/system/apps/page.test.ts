import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { repoRoot } from '../../support/process.js';
import { hostedApps } from './catalogue.js';
import { fileName } from './outcomes.js';
import { appsPage, withoutFigures } from './page.js';

describe('docs/reference/apps.md', () => {
  test('says what the catalogue of apps and their lock files say', () => {
    const page = readFileSync(join(repoRoot, 'docs', 'reference', 'apps.md'), 'utf8');
    const generated = appsPage(() => []);
    assert.equal(
      withoutFigures(page),
      withoutFigures(generated),
      'make apps with UPDATE_DOCS=1 writes it anew',
    );
  });

  test('loses to the comparison only what was measured', () => {
    const outcome = (stop: number, failures = {}) => ({ failures, figures: { stop } });
    const lost = { 'loses nothing in a stop under load': 'lost 1' };
    const measured = appsPage(() => [outcome(1234), outcome(90), outcome(80, lost)]);
    assert.match(measured, /\| 2 of 3; failed: 1 in the stop \| 90 ms, 1230 ms \|$/m);
    assert.equal(withoutFigures(measured), withoutFigures(appsPage(() => [])));
  });
});

describe('the catalogue of apps', () => {
  test('has a name for each that is its own, also as the name of a file', () => {
    assert.equal(new Set(hostedApps.map(({ name }) => fileName(name))).size, hostedApps.length);
  });
});
