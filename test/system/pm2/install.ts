import { homedir } from 'node:os';
import { join } from 'node:path';
import { installNpmFolder } from '../../support/npm-folder.js';
import { repoRoot } from '../../support/process.js';

/** The folder with PM2 in its node_modules, or why there is none. */
export type Installed = { readonly folder: string } | { readonly reason: string };

/** Installs PM2 from npm, unless that was done before: it is kept, in ROM_AGENT_TEST_PM2 or ~/.cache. */
export function installPm2(): Promise<Installed> {
  return installNpmFolder({
    from: join(repoRoot, 'test', 'system', 'pm2', 'version'),
    cache: process.env.ROM_AGENT_TEST_PM2 ?? join(homedir(), '.cache', 'rom-agent-test-pm2'),
    flags: ['--omit=optional'],
  });
}

/** Options for `test()`: skipped with the reason where PM2 cannot be installed; in CI the test runs and fails instead. */
export function needsPm2(installed: Installed): { skip: string | false } {
  return { skip: 'reason' in installed && process.env.CI !== 'true' ? installed.reason : false };
}
