import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { repoRoot } from '../../support/process.js';
import { command } from './command.js';
import { needsPrograms } from './requirements.js';
import { socketText, unitText, withoutNetwork } from './shipped-unit.js';

const services = ['rom-agent.service', 'rom-agent@.service'] as const;
const sockets = ['rom-agent.socket', 'rom-agent@.socket'] as const;

test(
  'systemd-analyze verify has nothing to say about the units',
  needsPrograms('systemd-analyze'),
  async (t) => {
    const files = units(t);
    const { code, stdout, stderr } = await command(['systemd-analyze', 'verify', ...files]);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' });
  },
);

for (const { what, unit = 'rom-agent.service', settings, limit } of [
  { what: 'the unit', settings: [], limit: 1.1 },
  { what: 'the template', unit: 'rom-agent@shop.service', settings: [], limit: 1.1 },
  {
    what: 'the unit with loopback only',
    settings: ['IPAddressAllow=localhost', 'IPAddressDeny=any'],
    limit: 1,
  },
  {
    what: 'the unit with loopback only, and without the list of interfaces',
    settings: ['IPAddressAllow=localhost', 'IPAddressDeny=any', 'RestrictAddressFamilies=~AF_NETLINK'],
    limit: 0.9,
  },
  { what: 'the unit with nothing but its socket', settings: withoutNetwork, limit: 0.2 },
])
  test(`the exposure of ${what} is ${limit} or less`, needsPrograms('systemd-analyze'), async (t) => {
    const files = units(t, settings);
    const file = files.find((path) => path.endsWith(`/${unit}`)) ?? '';
    const argv = ['systemd-analyze', 'security', '--offline=yes', '--no-pager', file];
    const { stdout, stderr } = await command(argv);
    const exposure = Number(/Overall exposure level for .*: ([\d.]+)/.exec(stdout)?.[1] ?? Number.NaN);
    assert.ok(exposure <= limit, `${exposure}\n${stdout}${stderr}`);
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
    ExecReload: `${process.execPath} ${repoRoot}/dist/cli/main.js reload`,
  };
  assert.deepEqual(pick(settings, wanted), wanted);
});

test('the templates are what packaging/template-units.mjs makes of the plain units', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-unit-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const generator = join('packaging', 'template-units.mjs');
  execFileSync(process.execPath, [generator, folder], { cwd: repoRoot });
  for (const name of [services[1], sockets[1]]) {
    const read = (where: string) => readFileSync(join(where, name), 'utf8');
    assert.equal(read(join(repoRoot, 'systemd')), read(folder), `run: node ${generator}`);
  }
});

test('a service that has a name shares nothing with others but the directory of configurations', () => {
  const text = unitText({ unit: 'rom-agent@.service' }).replaceAll(/^#.*$/gm, '');
  const paths = [...text.matchAll(/^(\w+)=(.*rom-agent(?!-).*)$/gm)].filter(
    ([, , value]) => !value?.includes('%i'),
  );
  assert.deepEqual(
    paths.map(([line]) => line).filter((line) => !line.startsWith('Exec')),
    ['ConfigurationDirectory=rom-agent'],
  );
  assert.match(text, /^Environment=.* ROM_AGENT_CONFIG=\/etc\/rom-agent\/%i\.toml$/m);
  assert.doesNotMatch(socketText('rom-agent@.socket').replaceAll(/^#.*$/gm, ''), /3000/);
});

test('the service needs no socket unit: it runs with and without one', () => {
  const settings = parse(unitText());
  const ties = ['Sockets', 'Requires', 'Requisite', 'BindsTo', 'PartOf'];
  assert.deepEqual(
    ties.filter((name) => settings.has(name)),
    [],
  );
});

test('the socket unit says each thing once, and what contracts with systemd it relies on', () => {
  const settings = parse(socketText());
  for (const [name, values] of settings) assert.equal(values.length, 1, name);
  const wanted = {
    ListenStream: '3000',
    BindIPv6Only: 'both',
    Accept: 'no',
    TriggerLimitIntervalSec: '0',
    WantedBy: 'sockets.target',
  };
  assert.deepEqual(pick(settings, wanted), wanted);
});

test('what harms a Node.js daemon, or systemd 252 does not know, is not in the unit', () => {
  const settings = parse(unitText());
  const harmful = ['MemoryDenyWriteExecute', 'ProcSubset', 'RestartSteps', 'RestartMaxDelaySec'];
  assert.deepEqual(
    harmful.filter((name) => settings.has(name)),
    [],
  );
});

test('no placeholder is left when the unit is installed, and docs/reference/systemd-units.md explains every setting', () => {
  assert.doesNotMatch(unitText(), /@[A-Z]+@/);
  const docs = readFileSync(join(repoRoot, 'docs', 'reference', 'systemd-units.md'), 'utf8');
  const names = [...parse(unitText()).keys(), ...parse(socketText()).keys()];
  const missing = names.filter((name) => !docs.includes(`\`${name}=`));
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

function pick(settings: Map<string, string[]>, like: object): Record<string, string | undefined> {
  return Object.fromEntries(Object.keys(like).map((name) => [name, settings.get(name)?.[0]]));
}

/** The units as files, the templates as those of a service `shop`, with further settings at the end of [Service]. */
function units(t: TestContext, settings: readonly string[] = []): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-unit-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const more = settings.map((line) => `${line}\n`).join('');
  const write = (name: string, text: string) => {
    const path = join(folder, name.replace('@.', '@shop.'));
    writeFileSync(path, text);
    return path;
  };
  return [
    ...services.map((unit) => write(unit, unitText({ unit }).replace('\n[Install]', `${more}\n[Install]`))),
    ...sockets.map((unit) => write(unit, socketText(unit))),
  ];
}
