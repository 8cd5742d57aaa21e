import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { repoRoot } from '../support/process.js';
import { command } from './command.js';
import { needsPrograms } from './requirements.js';
import { unitText } from './shipped-unit.js';

const unit = 'rom-agent.service';

test(
  'systemd-analyze verify has nothing to say about the unit',
  needsPrograms('systemd-analyze'),
  async (t) => {
    const { code, stdout, stderr } = await command(['systemd-analyze', 'verify', file(t, unitText())]);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' });
  },
);

test('the exposure of the unit is 1.1 or less', needsPrograms('systemd-analyze'), async (t) => {
  const argv = ['systemd-analyze', 'security', '--offline=yes', '--no-pager', file(t, unitText())];
  const { stdout, stderr } = await command(argv);
  const exposure = Number(/Overall exposure level for .*: ([\d.]+)/.exec(stdout)?.[1] ?? Number.NaN);
  assert.ok(exposure <= 1.1, `${exposure}\n${stdout}${stderr}`);
});

test('the unit says each thing once, and what contracts with systemd it relies on', () => {
  const settings = parse(unitText());
  for (const [name, values] of settings) {
    assert.ok(values.length === 1 || name === 'SystemCallFilter', `${name} is given ${values.length} times`);
  }
  const wanted = {
    Type: 'notify',
    NotifyAccess: 'main',
    KillMode: 'mixed',
    Restart: 'on-failure',
    RestartPreventExitStatus: '78 64 77',
    StartLimitIntervalSec: '0',
    OOMPolicy: 'continue',
    WantedBy: 'multi-user.target',
  };
  const found = Object.fromEntries(Object.keys(wanted).map((name) => [name, settings.get(name)?.[0]]));
  assert.deepEqual(found, wanted);
});

test('what harms a Node.js daemon, or systemd 252 does not know, is not in the unit', () => {
  const settings = parse(unitText());
  const harmful = [
    'MemoryDenyWriteExecute',
    'ProcSubset',
    'RestartSteps',
    'RestartMaxDelaySec',
    'ExecReload',
  ];
  assert.deepEqual(
    harmful.filter((name) => settings.has(name)),
    [],
  );
});

test('no placeholder is left when the unit is installed, and docs/systemd.md explains every setting', () => {
  assert.doesNotMatch(unitText(), /@[A-Z]+@/);
  const docs = readFileSync(join(repoRoot, 'docs', 'systemd.md'), 'utf8');
  const missing = [...parse(unitText()).keys()].filter((name) => !docs.includes(`\`${name}=`));
  assert.deepEqual(missing, []);
});

function parse(text: string): Map<string, string[]> {
  const settings = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [, name, value = ''] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined) settings.set(name, [...(settings.get(name) ?? []), value]);
  }
  return settings;
}

function file(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-unit-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, unit);
  writeFileSync(path, text);
  return path;
}
