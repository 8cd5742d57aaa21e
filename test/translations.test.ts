import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { repoRoot } from './support/process.js';

// The Portuguese edition: the README and what an operator looks up. Pages for developers of apps and of rom-agent stay English.
const home = 'docs/pt';
const english = [
  'README.md',
  ...readdirSync(join(repoRoot, 'docs/how-to')).map((name) => `docs/how-to/${name}`),
  'docs/reference/exit-codes.md',
  'docs/reference/log-lines.md',
].filter((path) => !/\/how-to\/(?:develop|queues|chat)\.md$/.test(path));

describe('the Portuguese edition', () => {
  for (const path of english) {
    const translated = join(home, path.replace(/^docs\//, ''));

    test(`${path} has a translation with the same headings, commands and tables`, () => {
      assert.ok(existsSync(join(repoRoot, translated)), `${translated} does not exist`);
      const [original, translation] = [path, translated].map(skeleton);
      assert.deepEqual(translation, original, `${translated} is not in step with ${path}`);
    });

    test(`the links of ${translated} lead to files that exist`, { skip: missing(translated) }, () => {
      assert.deepEqual(deadLinks(translated), []);
    });
  }
});

interface Skeleton {
  /** Their levels: `["#", "##"]`. */
  readonly headings: readonly string[];
  /** Code blocks without their comments, which are translated. */
  readonly commands: readonly string[];
  /** A string a row: the number of cells, and the code in them. */
  readonly tables: readonly string[];
}

function skeleton(path: string): Skeleton {
  const headings: string[] = [];
  const commands: string[] = [];
  const tables: string[] = [];
  let block: string[] | null = null;
  for (const line of readFileSync(join(repoRoot, path), 'utf8').split('\n')) {
    if (/^\s*```/.test(line)) {
      if (block === null) block = [line.trim()];
      else {
        commands.push(block.join('\n'));
        block = null;
      }
    } else if (block !== null) {
      const code = withoutComment(line);
      if (code !== '') block.push(code);
    } else if (/^#+ /.test(line)) headings.push(line.replace(/ .*/, ''));
    else if (line.startsWith('|')) tables.push(row(line));
  }
  return { headings, commands, tables };
}

function withoutComment(line: string): string {
  return line.replace(/(^|\s+)(#(?!!)|\/\/).*$/, '').trimEnd();
}

function row(line: string): string {
  const code = [...line.matchAll(/`[^`]+`/g)].map(([text]) => text).sort();
  const cells =
    line
      .replace(/`[^`]*`/g, '')
      .replaceAll('\\|', '')
      .split('|').length - 2;
  return [`${cells} cells`, ...code].join(' ');
}

function deadLinks(path: string): string[] {
  const text = readFileSync(join(repoRoot, path), 'utf8');
  return [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
    .map(([, target = '']) => relative(repoRoot, join(repoRoot, dirname(path), target)))
    .filter((target) => !existsSync(join(repoRoot, target)));
}

function missing(path: string): string | false {
  return existsSync(join(repoRoot, path)) ? false : 'the page does not exist';
}
