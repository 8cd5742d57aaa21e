import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repoRoot } from '../../support/process.js';
import { hostedApps } from './catalogue.js';
import { appsPage } from './page.js';

/** With UPDATE_DOCS=1 the file is written anew. */
test('docs/reference/apps.md says what the catalogue of apps and their lock files say', () => {
  const path = join(repoRoot, 'docs', 'reference', 'apps.md');
  if (process.env.UPDATE_DOCS === '1') writeFileSync(path, appsPage());
  assert.equal(readFileSync(path, 'utf8'), appsPage(), 'run the tests with UPDATE_DOCS=1 to write it anew');
});

test('the catalogue of apps has a name for each that is its own', () => {
  assert.equal(new Set(hostedApps.map(({ name }) => name)).size, hostedApps.length);
});
