/**
 * Prints what a directory of the daemon's files is called: its version, and a hash over the names and contents of all of
 * them, the addon for one ABI of node included. The same files have the same name.
 *
 * Usage: name-of-tree.mjs DIRECTORY
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, relative } from 'node:path';

const [root] = process.argv.slice(2);
const hash = createHash('sha256');
const entries = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => !entry.isDirectory())
  .map((entry) => ({ entry, path: join(entry.parentPath ?? entry.path, entry.name) }))
  .sort((a, b) => (a.path < b.path ? -1 : 1));
for (const { entry, path } of entries) {
  const content = entry.isSymbolicLink() ? readlinkSync(path) : readFileSync(path);
  hash.update(`${relative(root, path)}\0${content.length}\0`).update(content);
}
const { version = '0.0.0' } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
process.stdout.write(`${version}-${hash.digest('hex').slice(0, 12)}\n`);
