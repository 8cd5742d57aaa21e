import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repoRoot } from '../../support/process.js';
import { command } from '../systemd/command.js';

/** What `make stage` has put together for this machine. */
export const stage = join(repoRoot, 'packages', 'stage-x64');
const payload = join('usr', 'lib', 'rom-agent', 'package');

/** A package, and the name of its version: the directory in /usr/lib/rom-agent/versions. */
export interface Package {
  readonly file: string;
  readonly tree: string;
}

/** The .deb of the stage, or of another one. Compressed a little: xz takes minutes. */
export async function buildDeb(tree = stage): Promise<Package> {
  const env = ['env', 'DEB_COMPRESSION=-Zgzip -z1', `STAGE=${tree}`, `NODE=${process.execPath}`];
  const file = (await must([...env, 'sh', join('packaging', 'deb', 'build.sh'), 'x64'])).trim();
  return { file, tree: await nameOf(tree) };
}

/** The same as an .rpm. */
export async function buildRpm(tree = stage): Promise<Package> {
  const env = ['env', 'RPM_PAYLOAD=w0.gzdio', `STAGE=${tree}`, `NODE=${process.execPath}`];
  const file = (await must([...env, 'sh', join('packaging', 'rpm', 'build.sh'), 'x64'])).trim();
  return { file, tree: await nameOf(tree) };
}

/** A later version of the stage: another number, and another build, whose workers the master of this one refuses. */
export async function nextStage(): Promise<string> {
  const next = join(repoRoot, 'packages', 'stage-next');
  await rm(next, { recursive: true, force: true });
  await mkdir(next, { recursive: true });
  await must(['cp', '-al', `${stage}/.`, next]);
  const folder = join(next, payload);
  const build = (await readFile(join(folder, 'dist', 'build-id'), 'utf8')).trim();
  for (const path of await filesBelow(join(folder, 'dist'))) await rewrite(path, build, '0123456789ab');
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string };
  await rewrite(join(folder, 'package.json'), `"version": "${version}"`, `"version": "${version}1"`);
  return next;
}

/** The standard output of a program in the project's folder that has to succeed. */
export async function must(argv: readonly string[], timeout = 1_200_000): Promise<string> {
  const { code, stdout, stderr } = await command(['env', '-C', repoRoot, ...argv], { timeout });
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}\n${stdout}${stderr}`);
  return stdout;
}

async function nameOf(tree: string): Promise<string> {
  const name = await must([process.execPath, join('packaging', 'name-of-tree.mjs'), join(tree, payload)]);
  return name.trim();
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** As a new file, since the old one is the stage's too. */
async function rewrite(path: string, from: string, to: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  if (!text.includes(from)) return;
  await cp(path, `${path}.new`);
  await writeFile(`${path}.new`, text.replaceAll(from, to));
  await rename(`${path}.new`, path);
}
