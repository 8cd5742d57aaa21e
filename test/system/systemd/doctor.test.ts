import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding } from '../../../src/doctor/finding.js';
import { inside, type Machine, needsMachine, sharedMachine } from './machine.js';
import { service } from './service.js';

interface Report {
  readonly code: number | null;
  readonly unit: string | null;
  readonly findings: readonly Finding[];
}

/** As root of the machine, who has another environment than the service. */
async function doctor(machine: Machine, unit: string): Promise<Report> {
  const argv = [inside.node, `${inside.repo}/dist/cli/main.js`, 'doctor', '--json', '--unit', unit];
  const { code, stdout, stderr } = await machine.run(argv);
  assert.equal(stderr, '');
  return { code, ...(JSON.parse(stdout) as Omit<Report, 'code'>) };
}

function bad({ findings }: Report): readonly string[] {
  return findings
    .filter(({ verdict }) => verdict === 'problem')
    .map(({ check, found }) => `${check}: ${found}`);
}

function of({ findings }: Report, check: string): Finding {
  const finding = findings.find((one) => one.check === check);
  assert.ok(finding !== undefined, `nothing about ${check}`);
  return finding;
}

test(
  'doctor has no problem with the shipped unit, before its start and while it runs',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, { name: 'doctor' });
    const before = await doctor(machine, own.unit);
    assert.deepEqual(bad(before), []);
    assert.match(of(before, 'WatchdogSec').found, /^30s: a ping every 10s/);
    assert.equal(of(before, `port ${own.port}`).found, 'free');
    await own.start();
    const running = await doctor(machine, own.unit);
    assert.deepEqual([bad(running), running.code, running.unit], [[], 0, own.unit]);
    assert.match(of(running, `port ${own.port}`).found, /^held by the daemon, pid \d+ /);
    assert.match(of(running, 'in effect').found, /uses the same settings$/);
    assert.match(of(running, 'refusals').found, /^none/);
    // It is not enabled, its port is a free one, and of the machine below the test knows nothing.
    const warnings = running.findings
      .filter(({ verdict }) => verdict === 'warning')
      .map(({ check }) => check);
    assert.deepEqual(
      warnings.filter((check) => !['version', 'at boot', 'net.core.somaxconn', 'port range'].includes(check)),
      [],
    );
  },
);

test(
  'doctor speaks of the service that it was asked for, from the template too, with another one beside it',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const first = await service(machine, t, { name: 'doctor-first', settings: ['TimeoutStopSec=5'] });
    const shop = await service(machine, t, {
      name: 'shop',
      isNamed: true,
      env: { ROM_AGENT_LINGER: '70ms' },
    });
    await first.start();
    await shop.start();
    const report = await doctor(machine, shop.unit);
    assert.deepEqual([bad(report), report.code, report.unit], [[], 0, 'rom-agent@shop.service']);
    assert.match(of(report, 'daemon').found, new RegExp(`^pid ${await shop.master()},`));
    assert.match(of(report, 'in effect').found, /uses the same settings$/);
    const [{ change } = assert.fail()] = (await doctor(machine, first.unit)).findings.filter(
      ({ verdict }) => verdict === 'problem',
    );
    assert.match(change ?? '', /systemctl edit rom-agent-doctor-first\.service:/);
  },
);

test('doctor finds a drop-in that cuts the drain, and names drain_timeout', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'doctor-stop', settings: ['TimeoutStopSec=5'] });
  const report = await doctor(machine, own.unit);
  assert.equal(report.code, 78);
  assert.equal(bad(report).length, 1, bad(report).join('\n'));
  const { found, change } = of(report, 'TimeoutStopSec');
  assert.match(found, /^5s, 31s too short: drain_timeout is 30s/);
  assert.match(change ?? '', new RegExp(`systemctl edit ${own.unit}: under \\[Service\\] TimeoutStopSec=45`));
});

test(
  'doctor goes by the settings of the unit, and finds what else a drop-in breaks',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, {
      name: 'doctor-worse',
      env: { ROM_AGENT_DRAIN_TIMEOUT: '1m', ROM_AGENT_HANG_TIMEOUT: '40s', PORT: '80', LOG_DIR: '/srv/logs' },
      settings: [
        'OOMPolicy=stop',
        'TasksMax=30',
        'MemoryMax=96M',
        'LimitNOFILE=300',
        'MemoryDenyWriteExecute=yes',
      ],
    });
    const report = await doctor(machine, own.unit);
    const checks = report.findings.filter(({ verdict }) => verdict === 'problem').map(({ check }) => check);
    assert.deepEqual(
      new Set(checks),
      new Set([
        ...['TimeoutStopSec', 'hang_timeout', 'OOMPolicy', 'MemoryDenyWriteExecute', 'ports below 1024'],
        ...['memory', 'threads', 'open files', 'log.dir'],
      ]),
    );
    assert.match(of(report, 'TimeoutStopSec').found, /drain_timeout is 60s/);
  },
);

test(
  'doctor sees the port of a socket unit, and that the service was changed under way',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, { name: 'doctor-socket', socket: [] });
    await machine.must(['systemctl', 'start', own.socketUnit]);
    await own.start();
    assert.match(of(await doctor(machine, own.unit), 'socket unit').found, /listens on 127\.0\.0\.1:\d+$/);
    await machine.writeFile(`/etc/systemd/system/${own.unit}.d/more.conf`, '[Service]\nOOMPolicy=stop\n');
    const outdated = await doctor(machine, own.unit);
    assert.equal(of(outdated, 'loaded').verdict, 'warning');
    assert.equal(of(outdated, 'OOMPolicy').verdict, 'ok');
  },
);
