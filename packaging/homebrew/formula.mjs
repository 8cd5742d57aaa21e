/**
 * Writes the formula for a tarball of `npm pack`: packaging/homebrew/rom-agent.rb with its address and its hash.
 *
 * Usage: formula.mjs TARBALL [URL] >rom-agent.rb
 *
 * URL is where the tarball will be, as `npm view rom-agent dist.tarball` prints it; without one it is the file itself,
 * which is good for a try on this machine. Homebrew reads the version out of its name.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [tarball, url = ''] = process.argv.slice(2);
if (tarball === undefined) fail('usage: formula.mjs TARBALL [URL]');
if (!/^rom-agent-\d+\.\d+\.\d+.*\.tgz$/.test(basename(tarball)))
  fail(`${tarball} is no tarball of npm pack: expected a name such as rom-agent-1.2.3.tgz`);
if (url !== '' && !/^https:\/\/\S+\/rom-agent-\d+\.\d+\.\d+\S*\.tgz$/.test(url))
  fail(`URL is "${url}": expected https:// and a name such as rom-agent-1.2.3.tgz at its end`);
if (url !== '' && basename(url) !== basename(tarball))
  fail(`URL is of another version: ${basename(url)}; the tarball is ${basename(tarball)}`);

const address = url === '' ? pathToFileURL(resolve(tarball)).href : url;
const words = {
  '@URL@': address,
  '@HOMEPAGE@': url === '' ? address : new URL(url).origin,
  '@SHA256@': createHash('sha256').update(readFileSync(tarball)).digest('hex'),
};
const template = readFileSync(new URL('rom-agent.rb', import.meta.url), 'utf8');
const formula = template.slice(template.indexOf('class '));
process.stdout.write(formula.replace(/@[A-Z0-9]+@/g, (word) => words[word] ?? fail(`no value for ${word}`)));

function fail(message) {
  process.stderr.write(`formula.mjs: ${message}\n`);
  process.exit(64);
}
