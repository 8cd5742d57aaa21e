import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { installNpmFolder } from '../../support/npm-folder.js';
import { repoRoot } from '../../support/process.js';

/** Executables by their majors, or why there are none. */
export type Nodes = { readonly reason: string } | { readonly executables: ReadonlyMap<number, string> };

const versions = join(repoRoot, 'test', 'system', 'nodes', 'versions');
const cache = process.env.ROM_AGENT_TEST_NODES ?? join(homedir(), '.cache', 'rom-agent-test-nodes');

/** The majors in test/system/nodes/versions. */
export function majors(): readonly number[] {
  const { dependencies } = JSON.parse(readFileSync(join(versions, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  return Object.keys(dependencies).map((name) => Number(name.replace('node', '')));
}

/** Installs them from npm, unless that was done before: they are kept, in ROM_AGENT_TEST_NODES or ~/.cache. */
export async function installNodes(): Promise<Nodes> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return { reason: `npm has these for linux on x64, not for ${process.platform} on ${process.arch}` };
  const installed = await installNpmFolder({ from: versions, cache });
  if ('reason' in installed) return installed;
  const executables = majors().map(
    (major) => [major, join(installed.folder, 'node_modules', `node${major}`, 'bin', 'node')] as const,
  );
  return { executables: new Map(executables) };
}
