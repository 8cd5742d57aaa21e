import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../../support/process.js';
import { outcomesOf } from './outcomes.js';
import { appsPage } from './page.js';

// After runs of all apps: docs/reference/apps.md with what was measured, where it is asked for.
if (process.env.UPDATE_DOCS === '1')
  writeFileSync(join(repoRoot, 'docs', 'reference', 'apps.md'), appsPage(outcomesOf));
