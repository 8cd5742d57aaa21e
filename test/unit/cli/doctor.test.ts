import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { countsOf, reportOf, runDoctor } from '../../../src/cli/host/doctor.js';
import { toJson } from '../../../src/cli/output.js';
import type { Finding } from '../../../src/doctor/finding.js';
import { loadInput } from '../../support/load-input.js';
import { startDaemon } from '../../support/process.js';
import { folder } from '../control/place.js';
import { fakeSeam, type World } from '../doctor/fake-world.js';

const findings: readonly Finding[] = [
  { subject: 'Node', check: 'version', verdict: 'ok', found: '24.11.0', change: null },
  {
    subject: 'systemd',
    check: 'Type',
    verdict: 'warning',
    found: 'a b c '.repeat(20).trim(),
    change: 'Type=notify',
  },
  {
    subject: 'systemd',
    check: 'TimeoutStopSec',
    verdict: 'problem',
    found: '5s',
    change: 'TimeoutStopSec=45',
  },
  { subject: 'port', check: 'port 3000', verdict: 'unknown', found: 'not seen', change: null },
];

const plain = { paint: (_: unknown, text: string) => text, columns: () => 80, interactive: false, all: true };

describe('the report of doctor', () => {
  test('begins with the problems, has what to change below what was found, and ends with the counts', () => {
    const lines = reportOf(findings, plain).split('\n');
    assert.deepEqual(
      lines.filter((line) => /^ ? ?\w/.test(line)).map((line) => line.trim().split(/ /)[0]),
      ['systemd', 'problem', 'systemd', 'warning', 'port', 'unknown', 'Node', 'ok', '1'],
    );
    const stop = lines.findIndex((line) => line.includes('TimeoutStopSec  5s'));
    assert.equal(lines[stop]?.slice(0, 9), '  problem');
    assert.equal(lines[stop + 1], `${' '.repeat(27)}-> TimeoutStopSec=45`);
    assert.equal(lines.at(-2), '1 ok, 1 unknown, 1 warning, 1 problem');
  });

  test('counts what is in order, and shows it where all is asked for', () => {
    const lines = reportOf(findings, { ...plain, all: false }).split('\n');
    assert.ok(!lines.includes('Node'));
    assert.equal(lines.at(-2), '1 ok (--all shows them), 1 unknown, 1 warning, 1 problem');
  });

  test('stays within a terminal, and has a line each elsewhere', () => {
    const wide = reportOf(findings, { ...plain, interactive: true });
    assert.ok(wide.split('\n').every((line) => line.length <= 80));
    assert.match(reportOf(findings, plain), /^ {2}warning {2}Type {12}(a b c ?){20}$/m);
  });

  test('has its colours from the terminal', () => {
    const text = reportOf(findings, { ...plain, paint: (colour, text) => `<${colour}>${text}</>` });
    assert.match(text, /^ {2}<red>problem<\/> {2}TimeoutStopSec/m);
    assert.match(text, /<yellow>1 warning<\/>, <red>1 problem<\/>\n$/);
  });

  test('says that there is no problem', () => {
    assert.match(reportOf(findings.slice(0, 1), plain), /\n1 ok, 0 problems\n$/);
    assert.deepEqual(countsOf(findings.slice(0, 1)), { ok: 1, unknown: 0, warning: 0, problem: 0 });
  });
});

describe('rom-agent doctor', () => {
  const run = async (world: World, json = false) => {
    let text = '';
    const print = (more: string) => {
      text += more;
    };
    const printJson = (value: unknown) => print(`${toJson(value)}\n`);
    const terminal = { ...plain, print, printJson };
    const input = loadInput({ env: world.env ?? {} });
    const unitName = world.unitName === undefined ? 'rom-agent.service' : world.unitName;
    const code = await runDoctor({ seam: fakeSeam(world), input, unitName, json, all: true, terminal });
    return { code, text };
  };

  test('ends with 0 without a problem, warnings or not', async () => {
    assert.equal((await run({})).code, 0);
    const { code, text } = await run({ unit: { WatchdogUSec: 'infinity' } });
    assert.equal(code, 0);
    assert.match(text, /, 1 warning, 0 problems\n$/);
  });

  test('ends with 78 with a problem, be it of the machine, the unit or the configuration', async () => {
    for (const world of [{ unit: { OOMPolicy: 'stop' } }, { listens: 'EADDRINUSE' }] as const)
      assert.equal((await run(world)).code, 78);
    const { code, text } = await run({ env: { PORT: 'x', WORKERS: 'y' }, unitName: null });
    assert.equal(code, 78);
    assert.match(text, /port: "x".*\n.*\n.*workers: "y"|workers: "y".*\n.*\n.*port: "x"/);
  });

  test('prints JSON where that is asked for', async () => {
    const { text } = await run({ unit: { TimeoutStopUSec: '5s' } }, true);
    const { unit, counts, findings } = JSON.parse(text);
    assert.deepEqual([unit, counts.problem], ['rom-agent.service', 1]);
    const [finding] = findings.filter(({ verdict }: Finding) => verdict === 'problem');
    assert.deepEqual(Object.keys(finding).sort(), ['change', 'check', 'found', 'subject', 'verdict']);
    assert.equal(finding.check, 'TimeoutStopSec');
  });
});

describe('rom-agent doctor, as a process', () => {
  const script = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
  const doctor = (t: TestContext, cwd: string, ...args: readonly string[]) => {
    const all = [
      'doctor',
      '--unit',
      'none',
      '--control-socket',
      join(cwd, 'c.sock'),
      '--state-dir',
      cwd,
      ...args,
    ];
    return startDaemon({ t, script, args: all, cwd });
  };

  test('finds a port that is held, and who holds it', async (t) => {
    const server = createServer().listen(0);
    t.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const process = doctor(t, folder(t), '--port', String(port));
    assert.deepEqual(await process.waitForExit(), { code: 78, signal: null });
    const holder = globalThis.process.platform === 'linux' ? `pid ${globalThis.process.pid} ` : 'a process';
    assert.match(process.output(), new RegExp(`problem +port ${port} +held by ${holder}`));
    assert.equal(process.stderr.length, 0);
  });

  test('takes the flags of serve, and leaves nothing behind', async (t) => {
    const cwd = folder(t);
    writeFileSync(join(cwd, 'app.js'), '');
    const process = doctor(t, cwd, 'app.js', '--port', '0', '--drain-timeout', '2m', '--json');
    const { code } = await process.waitForExit();
    const { unit, findings } = JSON.parse(process.output());
    assert.equal(unit, null);
    const bad = findings.filter(({ verdict }: Finding) => verdict === 'problem');
    assert.deepEqual([bad, code], [[], 0]);
    assert.ok(findings.some(({ check, verdict }: Finding) => check === 'app' && verdict === 'ok'));
  });
});
