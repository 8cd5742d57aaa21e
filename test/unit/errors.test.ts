import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { exitStatusFor } from '../../src/cli/ending.js';
import { type ExitCode, exitCodes } from '../../src/errors.js';
import { repoRoot } from '../support/process.js';

interface Row {
  readonly code: number;
  readonly sysexits: string;
  readonly triedAgain: string;
  readonly underLaunchd: number;
}

const codes: readonly ExitCode[] = Object.values(exitCodes);

describe('docs/reference/exit-codes.md', () => {
  const rows = table(read('docs/reference/exit-codes.md'));

  test('has one row for each exit code, in their order', () => {
    assert.deepEqual(
      rows.map(({ code }) => code),
      [...codes].sort((a, b) => a - b),
    );
  });

  test('names each code as the comments in the source do', () => {
    const named = namesInSource(read('src/errors.ts'));
    assert.equal(named.size, codes.length);
    for (const { code, sysexits } of rows.filter(({ code }) => code !== 0)) {
      assert.equal(sysexits, named.get(code), `${code}`);
    }
  });

  test('says of the same codes as the unit that systemd does not try them again', () => {
    const [, prevented = ''] =
      /^RestartPreventExitStatus=(.*)$/m.exec(read('systemd/rom-agent.service')) ?? [];
    const expected = new Set([0, ...prevented.trim().split(/\s+/).map(Number)]);
    for (const { code, triedAgain } of rows)
      assert.equal(triedAgain, expected.has(code) ? 'no' : 'yes', `${code}`);
  });

  test('says what launchd is told', () => {
    const launchd = { ...quiet, kind: 'launchd', loopsOnFatalErrors: true } as const;
    for (const code of codes) {
      const row = rows.find((row) => row.code === code);
      assert.equal(row?.underLaunchd, exitStatusFor(launchd, code), `${code}`);
    }
  });
});

const quiet = {
  notify: () => {},
  pingInterval: null,
  sockets: [],
  reapsOrphans: false,
} as const;

function read(path: string): string {
  return readFileSync(join(repoRoot, path), 'utf8');
}

function table(document: string): readonly Row[] {
  return [...document.matchAll(/^\| (\d+) \|(.*)\|$/gm)].map(([, code, rest = '']) => {
    const [sysexits = '', , , triedAgain = '', underLaunchd] = rest.split('|').map((cell) => cell.trim());
    return { code: Number(code), sysexits, triedAgain, underLaunchd: Number(underLaunchd) };
  });
}

/** The EX_ name in the comment above each code; empty where there is none. */
function namesInSource(source: string): ReadonlyMap<number, string> {
  const entries = source.matchAll(/\/\*\* (?:(EX_\w+): )?[^*]*\*\/\s*\w+: (\d+),/g);
  return new Map([...entries].map(([, name = '', code]) => [Number(code), name]));
}
