import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { fixtures } from '../../support/process.js';
import { type AppSet, type Build, type HostedApp, sets } from './catalogue.js';

export type SetName = HostedApp['set'];

/** Where a set is, or why it is not there. */
export type Installed = { readonly folder: string } | { readonly reason: string };

/**
 * Installs a set from npm, with the versions of its lock file and without the packages' install scripts, and builds its
 * apps, unless that was done before: what is there is kept between runs, in ROM_AGENT_TEST_APPS or ~/.cache, under a
 * name made of all that goes into it.
 */
export async function install(name: SetName): Promise<Installed> {
  const folder = join(cache, await nameOf(name));
  if (existsSync(folder)) return { folder };
  await mkdir(cache, { recursive: true });
  const made = await mkdtemp(join(cache, 'making-'));
  try {
    await make(name, made);
    await rename(made, folder);
  } catch (error) {
    // Another run may have been faster.
    if (!existsSync(folder)) return { reason: reasonOf(error) };
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  return { folder };
}

/** Where the fixture of a set is. */
export function fixtureOf(name: SetName): string {
  return join(fixtures, 'system', name);
}

const cache = process.env.ROM_AGENT_TEST_APPS ?? join(homedir(), '.cache', 'rom-agent-test-apps');
const run = promisify(execFile);

async function make(name: SetName, folder: string): Promise<void> {
  await cp(fixtureOf(name), folder, { recursive: true });
  await cp(join(fixtures, 'system', 'play.mjs'), join(folder, 'play.mjs'));
  const before = await sameLock(name);
  if (before === null) await inFolder(folder, 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund']);
  else await cp(before, join(folder, 'node_modules'), { recursive: true, verbatimSymlinks: true });
  const { builds }: AppSet = sets[name];
  for (const build of builds) await perform(build, folder);
}

async function perform(
  { command: [command, ...args], env = {}, copies = [] }: Build,
  folder: string,
): Promise<void> {
  await inFolder(folder, command, args, env);
  for (const [from, to] of copies) await cp(join(folder, from), join(folder, to), { recursive: true });
}

/** Commands of the set's own packages come first. */
async function inFolder(
  cwd: string,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const path = `${join(cwd, 'node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}`;
  const quiet = {
    CI: '1',
    NEXT_TELEMETRY_DISABLED: '1',
    NUXT_TELEMETRY_DISABLED: '1',
    ASTRO_TELEMETRY_DISABLED: '1',
  };
  const options = { cwd, maxBuffer: 64 * 2 ** 20, timeout: 15 * 60_000 };
  await run(command, args, { ...options, env: { ...process.env, ...quiet, PATH: path, ...env } });
}

/** The node_modules that an earlier version of the set's sources has left, where its lock file was the same. */
async function sameLock(name: SetName): Promise<string | null> {
  const prefix = await prefixOf(name);
  const found = (await readdir(cache)).find((entry) => entry.startsWith(prefix));
  return found === undefined ? null : join(cache, found, 'node_modules');
}

async function nameOf(name: SetName): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(sets[name]));
  for (const file of await sources(name)) hash.update(relative(fixtures, file)).update(await readFile(file));
  return `${await prefixOf(name)}${hash.digest('hex').slice(0, 12)}`;
}

async function prefixOf(name: SetName): Promise<string> {
  const lock = await readFile(join(fixtureOf(name), 'package-lock.json'));
  return `${name}-${createHash('sha256').update(lock).digest('hex').slice(0, 12)}-`;
}

async function sources(name: SetName): Promise<string[]> {
  const entries = await readdir(fixtureOf(name), { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name: file }) => join(parentPath, file));
  return [...files.sort(), join(fixtures, 'system', 'play.mjs')];
}

/** npm's own errors, or the end of what a build has said. */
function reasonOf(error: unknown): string {
  const { stderr = '', stdout = '', message } = error as Error & { stdout?: string; stderr?: string };
  const said = (stderr.trim() || stdout.trim() || message).split('\n');
  const offline = said.find((line) => /ENOTFOUND|EAI_AGAIN|ENETUNREACH|ECONNREFUSED|ETIMEDOUT/.test(line));
  return offline === undefined ? said.slice(-8).join('\n') : `npm cannot reach its registry: ${offline}`;
}
