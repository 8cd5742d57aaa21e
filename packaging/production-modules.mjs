/**
 * Prints the directories under node_modules that the installed daemon needs, one a line, relative to the project.
 * It follows the package.json files on the disk, so it works without a network and leaves node_modules as it is.
 * Optional peers (valibot's typescript) are left out, which `npm ls --omit=dev` would count in.
 * Exits 1 and names what is missing when a dependency that is not optional is not installed.
 *
 * Usage: production-modules.mjs [PACKAGE...]: what these packages need, themselves included, instead of all.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = process.cwd();
const found = new Set();
const missing = [];
const named = process.argv.slice(2);
if (named.length === 0) visit(root);
for (const name of named) follow(name, { directory: root, optional: true, by: 'the command line' });
if (missing.length > 0) {
  process.stderr.write(`${missing.join('\n')}\nrun "npm ci" first\n`);
  process.exitCode = 1;
} else {
  process.stdout.write(`${[...found].sort().join('\n')}\n`);
}

function visit(directory) {
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  for (const name of required(manifest)) follow(name, { directory, optional: false, by: manifest.name });
  for (const name of optional(manifest)) follow(name, { directory, optional: true, by: manifest.name });
}

function follow(name, { directory, optional, by }) {
  const target = locate(name, directory);
  if (target === null) {
    if (!optional) missing.push(`${name}, needed by ${by}, is not installed`);
    return;
  }
  const path = relative(root, target);
  if (found.has(path)) return;
  found.add(path);
  visit(target);
}

function required({
  dependencies = {},
  optionalDependencies = {},
  peerDependencies = {},
  peerDependenciesMeta = {},
}) {
  const peers = Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true);
  return [...Object.keys(dependencies).filter((name) => !(name in optionalDependencies)), ...peers];
}

function optional({ optionalDependencies = {} }) {
  return Object.keys(optionalDependencies);
}

/** Node's own way up through the node_modules directories, not above the project. */
function locate(name, from) {
  for (let directory = from; directory.startsWith(root); directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
  }
  return null;
}
