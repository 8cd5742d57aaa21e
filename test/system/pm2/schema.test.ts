// The table of PM2's keys beside the schema of the real PM2.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { canonicalName, pm2Keys } from '../../../src/setup/pm2/keys.js';
import { installPm2, needsPm2 } from './install.js';

const installed = await installPm2();

test('every key and alias in the schema of PM2 is known, and no other', needsPm2(installed), () => {
  assert.ok('folder' in installed, 'reason' in installed ? installed.reason : '');
  const path = join(installed.folder, 'node_modules', 'pm2', 'lib', 'API', 'schema.json');
  const schema = JSON.parse(readFileSync(path, 'utf8')) as Record<string, { alias?: string | string[] }>;
  const names = Object.keys(schema).map((name) => (name.startsWith('^env_') ? 'env_*' : name));
  assert.deepEqual(Object.keys(pm2Keys).sort(), names.sort());
  for (const [name, { alias = [] }] of Object.entries(schema))
    for (const each of [alias].flat()) assert.equal(canonicalName(each), name);
});
