import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { completionFor } from '../../../src/cli/completion.js';
import { createProgram, shells } from '../../../src/cli/program.js';
import { exitCodes } from '../../../src/errors.js';
import { manPage } from '../../support/man-page.js';
import { repoRoot } from '../../support/process.js';

const program = createProgram({ exit: () => {} });
const man = 'packaging/man/rom-agent.1';

/** With UPDATE_DOCS=1 the files are written anew. */
const documents: Readonly<Record<string, () => string>> = {
  [man]: manPage,
  'packaging/completion/rom-agent.bash': () => completionFor('bash', program),
  'packaging/completion/_rom-agent': () => completionFor('zsh', program),
  'packaging/completion/rom-agent.fish': () => completionFor('fish', program),
};

describe('the documents made from the commands', () => {
  for (const [path, generate] of Object.entries(documents)) {
    test(`${path} says what the commands say`, () => {
      const file = join(repoRoot, path);
      if (process.env.UPDATE_DOCS === '1') {
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, generate());
      }
      assert.equal(
        readFileSync(file, 'utf8'),
        generate(),
        'run the tests with UPDATE_DOCS=1 to write it anew',
      );
    });
  }

  test('docs/reference/commands.md has a section for every command', () => {
    const text = readFileSync(join(repoRoot, 'docs/reference/commands.md'), 'utf8');
    const headings = [...text.matchAll(/^## rom-agent (\S+)/gm)].map(([, name]) => name);
    const elsewhere = new Set(['serve', 'check']);
    const names = program.commands.map((command) => command.name()).filter((name) => !elsewhere.has(name));
    assert.deepEqual(headings, names);
  });
});

describe('rom-agent --help', () => {
  test('has each command once, under a heading of its own subject, on one line', () => {
    const [, ...groups] = program.helpInformation().split(/\n(?=\S.*:\n)/);
    const listed = groups.flatMap((group) => group.trimEnd().split('\n').slice(1));
    const names = listed.map((line) => /^ {2}(\S+)/.exec(line)?.[1]).filter((name) => !name?.startsWith('-'));
    assert.deepEqual(names, [...program.commands.map((command) => command.name()), 'help']);
    assert.deepEqual(
      program.commands.map((command) => command.helpGroup()).filter((heading) => heading === ''),
      [],
    );
  });
});

describe('the manual page', () => {
  test('is laid out without a warning', { skip: missing('groff') }, () => {
    const { status, stderr } = spawnSync('groff', ['-man', '-ww', '-z', '-Tutf8', join(repoRoot, man)], {
      encoding: 'utf8',
    });
    assert.deepEqual([status, stderr], [0, '']);
  });

  test('passes the linter of mandoc', { skip: missing('mandoc') }, () => {
    const { stdout } = spawnSync('mandoc', ['-Tlint', '-Wwarning', join(repoRoot, man)], {
      encoding: 'utf8',
    });
    assert.equal(stdout, '');
  });

  test('names every command and every exit status', () => {
    const page = manPage();
    for (const command of program.commands) assert.match(page, new RegExp(`^\\.SS ${command.name()}$`, 'm'));
    for (const code of Object.values(exitCodes)) assert.match(page, new RegExp(`^\\.B ${code}$`, 'm'));
  });
});

describe('the completion', () => {
  for (const shell of shells) {
    const parses = { skip: missing(shell) };
    test(`is a program that ${shell} can read`, parses, () => {
      // fish reads no program from its standard input; that the file is the generated one is seen above.
      const file = { bash: 'rom-agent.bash', zsh: '_rom-agent', fish: 'rom-agent.fish' }[shell];
      const { status, stderr } = spawnSync(shell, ['-n', join(repoRoot, 'packaging', 'completion', file)], {
        encoding: 'utf8',
      });
      assert.deepEqual([status, stderr], [0, '']);
    });
  }

  test('of an unknown shell is an error that says which there are', () => {
    assert.throws(() => completionFor('tcsh', program), /"tcsh".*expected one of bash, zsh, fish/);
  });
});

describe('the completion of bash', { skip: missing('bash') }, () => {
  for (const [line, expected] of [
    ['rom-agent re', ['rehearse', 'releases', 'reload', 'replay', 'restart']],
    ['rom-agent --v', ['--version']],
    ['rom-agent reload --no-', ['--no-soak', '--no-rollback']],
    ['rom-agent serve --mode ', ['single', 'cluster', 'turbo']],
    ['rom-agent serve --mode=t', ['turbo']],
    ['rom-agent serve --dispatch r', ['round-robin', 'reuseport']],
    ['rom-agent status --config package-', ['package-lock.json']],
    ['rom-agent serve READ', ['README.md']],
    ['rom-agent serve --control-sock', ['--control-socket']],
    ['rom-agent completion ', ['bash', 'zsh', 'fish', '--help']],
    ['rom-agent status reload --wa', ['--watch']],
  ] as const) {
    test(`goes on from "${line}"`, () => {
      assert.deepEqual(complete(line).sort(), [...expected].sort());
    });
  }

  test('knows every command', () => {
    const names = program.commands.map((command) => command.name());
    assert.deepEqual(
      complete('rom-agent ').filter((word) => !word.startsWith('-')),
      [...names, 'help'],
    );
  });
});

/** What bash offers at the end of the line, with the words that readline would cut it into. */
function complete(line: string): string[] {
  const words = line.replaceAll('=', ' = ').split(/ +/);
  const script = `${completionFor('bash', program)}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rom_agent; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const text = execFileSync('bash', ['--norc', '-c', script, 'bash', ...words], {
    cwd: repoRoot,
    encoding: 'utf8',
  });
  return text.split('\n').filter(Boolean);
}

/** The reason to skip, or false. */
function missing(command: string): string | false {
  return spawnSync(command, ['--version']).error === undefined ? false : `there is no ${command} here`;
}
