import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { examples } from '../../../src/control/openapi.js';
import { publicStats } from '../../../src/core/stats.js';
import { repoRoot } from '../../support/process.js';

const page = readFileSync(join(repoRoot, 'docs/reference/http.md'), 'utf8');

test('the table of the stats has every field, and no other', () => {
  const [, section = ''] = page.split('## GET /api/cluster/stats');
  const [, table = ''] = section.split('| Field | Meaning |');
  const [rows = ''] = table.split('\n\n');
  const told = rows.split('\n').flatMap((row) => {
    const [, first = ''] = row.split('|');
    return [...first.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
  });
  const stats = publicStats(examples.Status);
  // The table says once what a reload consists of.
  const fields = fieldsOf({ ...stats, lastReload: null }, '');
  assert.deepEqual(told.toSorted(), fields.toSorted());
});

function fieldsOf(value: object, before: string): string[] {
  return Object.entries(value).flatMap(([name, field]: [string, unknown]): string[] => {
    if (Array.isArray(field)) {
      const whole = name === 'reloads' ? [name] : [];
      return [...whole, ...field.flatMap((item: object) => fieldsOf(item, `${before}${name}[].`))];
    }
    return typeof field === 'object' && field !== null
      ? fieldsOf(field, `${before}${name}.`)
      : [`${before}${name}`];
  });
}
