import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

const root = new URL('../../../../', import.meta.url).pathname;

/** The program's text: what is computed within a message is a gap, and a message over several lines is one. */
const source = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
  .join('\n')
  .replaceAll(/['`]\s*\+\s*['`]/g, '')
  .replaceAll(/\$\{[^{}]*\}/g, '\0');

/** Words that the source puts together from these parts. */
const composed: Readonly<Record<string, readonly string[]>> = {
  'did not listen within': ['did not \0 within', "'listen'"],
  'the files of rom-agent on the disk are of build': [
    'the files of rom-agent on the disk \0',
    'are of build \0',
  ],
  'did not become ready': ['did not \0 within', "'become ready'"],
  'the job report failed': ['the job \0 \0', "'failed'"],
  'the job report was lost': ['the job \0 \0', "'was lost'"],
  'the job report was left out': ['the job \0 \0', "'was left out'"],
  'times before it listened': ['died \0 before \0;', "'it listened'"],
  's the load gets no more than': ['for \0 the load gets no more than \0'],
  'the run': ['the run \0'],
  'the job report missed': ['the job \0 missed \0'],
};

/** Each line that the page names, in the words between its values. */
const documented = readFileSync(join(root, 'docs/reference/log-lines.md'), 'utf8')
  .split('\n')
  .filter((row) => row.startsWith('| `'))
  .flatMap((row) => (row.split(' | ')[0] ?? '').match(/`[^`]+`/g) ?? [])
  .map((line) => line.slice(1, -1))
  .filter((line) => !line.includes(' = '));

function fragments(line: string): readonly string[] {
  return line
    .split(/\d+(?:\.\d+)?|\.\.\.|[:;,()]/)
    .map((words) => words.trim())
    .filter((words) => words.length > 2)
    .flatMap((words) => composed[words] ?? [words]);
}

describe('a line on the page of log lines', () => {
  test('is one of many', () => assert.ok(documented.length > 30, `${documented.length}`));

  for (const line of documented) {
    test(`is worded as in the source: ${line}`, () => {
      for (const words of fragments(line)) assert.ok(source.includes(words), `no message has "${words}"`);
    });
  }
});
