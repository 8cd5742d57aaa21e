import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Verdict } from '../../../src/doctor/finding.js';
import { examined, execLine, type World } from './fake-world.js';

test('the shipped unit on a server in order: nothing to change, nothing unknown', async () => {
  const { findings } = await examined();
  assert.deepEqual(
    findings.filter(({ verdict }) => verdict !== 'ok'),
    [],
  );
  assert.ok(findings.every(({ change }) => change === null));
  assert.ok(findings.length > 35, `${findings.length} findings`);
});

interface Case {
  readonly unit: NonNullable<World['unit']>;
  readonly env?: Readonly<Record<string, string>>;
  readonly check: string;
  readonly verdict: Verdict;
  readonly found: RegExp;
  readonly change: RegExp | null;
}

const node = '/usr/bin/node /opt/app/main.js';

const cases: Readonly<Record<string, Case>> = {
  'a TimeoutStopSec below drain_timeout': {
    unit: { TimeoutStopUSec: '5s' },
    check: 'TimeoutStopSec',
    verdict: 'problem',
    found: /^5s, 31s too short: drain_timeout is 30s, and killing remaining processes takes up to 6s/,
    change:
      /^sudo systemctl edit rom-agent\.service: under \[Service\] TimeoutStopSec=45; or a shorter drain_timeout$/,
  },
  'a longer drain_timeout in the environment of the unit': {
    unit: { Environment: 'ROM_AGENT_DRAIN_TIMEOUT=2m' },
    check: 'TimeoutStopSec',
    verdict: 'problem',
    found: /^45s, 81s too short: drain_timeout is 2m/,
    change: /TimeoutStopSec=135/,
  },
  'a stop that just fits': {
    unit: { TimeoutStopUSec: '36s' },
    check: 'TimeoutStopSec',
    verdict: 'ok',
    found: /^36s, 0s more than the longest stop/,
    change: null,
  },
  'a stop that may take any time': {
    unit: { TimeoutStopUSec: 'infinity' },
    check: 'TimeoutStopSec',
    verdict: 'ok',
    found: /^infinity, unlimited/,
    change: null,
  },
  'a watchdog that is faster than hang_timeout': {
    unit: { WatchdogUSec: '8s', TimeoutAbortUSec: '10s' },
    check: 'hang_timeout',
    verdict: 'problem',
    found: /^hang_timeout is 10s, WatchdogSec 8s: the watchdog ends the whole service before/,
    change: /WatchdogSec=30; or hang_timeout = "2s"$/,
  },
  'a watchdog as long as hang_timeout': {
    unit: { WatchdogUSec: '11s' },
    check: 'hang_timeout',
    verdict: 'problem',
    found: /WatchdogSec 11s/,
    change: /WatchdogSec=30/,
  },
  'a watchdog a little longer than hang_timeout': {
    unit: { WatchdogUSec: '12s' },
    check: 'hang_timeout',
    verdict: 'ok',
    found: /is replaced before the watchdog/,
    change: null,
  },
  'a watchdog that leaves no time for proofs': {
    unit: { WatchdogUSec: '3s', Environment: 'ROM_AGENT_HANG_TIMEOUT=1s' },
    check: 'WatchdogSec',
    verdict: 'warning',
    found: /^3s leaves an idle worker 333ms to prove/,
    change: /WatchdogSec=30$/,
  },
  'no watchdog': {
    unit: { WatchdogUSec: 'infinity' },
    check: 'WatchdogSec',
    verdict: 'warning',
    found: /^none: systemd does not notice a hung master/,
    change: /WatchdogSec=30$/,
  },
  'an abort that takes as long as a stop': {
    unit: { TimeoutAbortUSec: '45s' },
    check: 'TimeoutAbortSec',
    verdict: 'warning',
    found: /^45s: a hung master/,
    change: /TimeoutAbortSec=10$/,
  },
  'a start that is given up before the master has spoken': {
    unit: { TimeoutStartUSec: '1s' },
    check: 'TimeoutStartSec',
    verdict: 'warning',
    found: /^1s: on a busy machine/,
    change: /TimeoutStartSec=90$/,
  },
  'a start that may be shorter than boot_timeout, since it asks for more': {
    unit: { TimeoutStartUSec: '10s' },
    check: 'TimeoutStartSec',
    verdict: 'ok',
    found: /boot_timeout is 30s; the master asks for 15s more/,
    change: null,
  },
  'a unit of another type': {
    unit: { Type: 'simple' },
    check: 'Type',
    verdict: 'problem',
    found: /^simple: /,
    change: /Type=notify$/,
  },
  'Type=notify-reload': {
    unit: { Type: 'notify-reload' },
    check: 'Type',
    verdict: 'warning',
    found: /cannot report a refused release/,
    change: /Type=notify$/,
  },
  'notifications that nobody hears': {
    unit: { NotifyAccess: 'none' },
    check: 'NotifyAccess',
    verdict: 'problem',
    found: /systemd ignores READY=1/,
    change: /NotifyAccess=main$/,
  },
  'notifications of anybody': {
    unit: { NotifyAccess: 'all' },
    check: 'NotifyAccess',
    verdict: 'warning',
    found: /the app may send/,
    change: /NotifyAccess=main$/,
  },
  'KillMode=process': {
    unit: { KillMode: 'process' },
    check: 'KillMode',
    verdict: 'problem',
    found: /are not killed$/,
    change: /KillMode=mixed$/,
  },
  'KillMode=control-group': {
    unit: { KillMode: 'control-group' },
    check: 'KillMode',
    verdict: 'warning',
    found: /during the drain$/,
    change: /KillMode=mixed$/,
  },
  'Restart=no': {
    unit: { Restart: 'no' },
    check: 'Restart',
    verdict: 'problem',
    found: /does not restart a failed master$/,
    change: /Restart=on-failure$/,
  },
  'Restart=always': {
    unit: { Restart: 'always' },
    check: 'Restart',
    verdict: 'warning',
    found: /systemd undoes rom-agent stop/,
    change: /Restart=on-failure$/,
  },
  'exit status 78 that is tried again': {
    unit: { RestartPreventExitStatus: '' },
    check: 'RestartPreventExitStatus',
    verdict: 'problem',
    found: /^without 78 and 64 and 77/,
    change: /RestartPreventExitStatus=78 64 77$/,
  },
  'exit status 77 that is tried again': {
    unit: { RestartPreventExitStatus: '64 78' },
    check: 'RestartPreventExitStatus',
    verdict: 'warning',
    found: /^without 77/,
    change: /RestartPreventExitStatus=78 64 77$/,
  },
  'exit status 64 that is tried again': {
    unit: { RestartPreventExitStatus: '77 78' },
    check: 'RestartPreventExitStatus',
    verdict: 'warning',
    found: /^without 64/,
    change: /RestartPreventExitStatus=78 64 77$/,
  },
  'a limit of starts': {
    unit: { StartLimitIntervalUSec: '10s' },
    check: 'StartLimitIntervalSec',
    verdict: 'warning',
    found: /^10s: /,
    change: /under \[Unit\] StartLimitIntervalSec=0$/,
  },
  'OOMPolicy=stop': {
    unit: { OOMPolicy: 'stop' },
    check: 'OOMPolicy',
    verdict: 'problem',
    found: /stops the whole service$/,
    change: /OOMPolicy=continue$/,
  },
  'a sandbox in which V8 aborts': {
    unit: { MemoryDenyWriteExecute: 'yes' },
    check: 'MemoryDenyWriteExecute',
    verdict: 'problem',
    found: /aborts$/,
    change: /MemoryDenyWriteExecute=no$/,
  },
  'a sandbox without CPUs': {
    unit: { ProcSubset: 'pid' },
    check: 'ProcSubset',
    verdict: 'warning',
    found: /os\.cpus\(\) is empty/,
    change: /ProcSubset=all$/,
  },
  'npm as what is started': {
    unit: { ExecStart: execLine('/usr/bin/npm run web') },
    check: 'ExecStart',
    verdict: 'problem',
    found: /^npm does not pass SIGTERM on/,
    change: /ExecStart=, ExecStart=\/path/,
  },
  'npm by node as what is started': {
    unit: { ExecStart: execLine('/usr/bin/node /usr/lib/node_modules/npm/bin/npm-cli.js start') },
    check: 'ExecStart',
    verdict: 'problem',
    found: /^npm-cli\.js does not pass SIGTERM/,
    change: /ExecStart=/,
  },
  'a shell in between': {
    unit: { ExecStart: execLine(`/bin/sh -c "${node} serve"`) },
    check: 'ExecStart',
    verdict: 'problem',
    found: /^a shell stays between/,
    change: /ExecStart=/,
  },
  'no ExecReload': {
    unit: { ExecReload: [] },
    check: 'ExecReload',
    verdict: 'warning',
    found: /systemctl reload fails/,
    change: /ExecReload=\/usr\/bin\/node \/usr\/local\/lib\/rom-agent\/dist\/cli\/main\.js reload$/,
  },
  'a signal as ExecReload': {
    unit: { ExecReload: execLine('/bin/kill -HUP 158') },
    check: 'ExecReload',
    verdict: 'warning',
    found: /does not learn the verdict/,
    change: /ExecReload=/,
  },
  'a unit that has failed': {
    unit: {
      ActiveState: 'failed',
      SubState: 'failed',
      Result: 'exit-code',
      ExecMainStatus: '70',
      StatusText: 'oops',
    },
    check: 'state',
    verdict: 'problem',
    found: /^failed \(exit-code, exit status 70\): oops$/,
    change: /journalctl -u rom-agent\.service/,
  },
  'a unit that ends and is started, again and again': {
    unit: { ActiveState: 'activating', SubState: 'auto-restart', NRestarts: '12', StatusText: '' },
    check: 'state',
    verdict: 'problem',
    found: /^it ends with exit status \d+; systemd restarted it 12 times$/,
    change: /journalctl/,
  },
  'a unit that was restarted': {
    unit: { NRestarts: '2' },
    check: 'state',
    verdict: 'warning',
    found: /after 2 restarts by systemd/,
    change: /why it ended/,
  },
  'files that were changed and not read': {
    unit: { NeedDaemonReload: 'yes' },
    check: 'loaded',
    verdict: 'warning',
    found: /after systemd loaded them/,
    change: /daemon-reload && sudo systemctl restart rom-agent\.service$/,
  },
  'drop-ins': {
    unit: { DropInPaths: '/etc/a.conf /etc/b.conf' },
    check: 'loaded',
    verdict: 'ok',
    found: /^with \/etc\/a\.conf, \/etc\/b\.conf$/,
    change: null,
  },
  'a unit that is not enabled': {
    unit: { UnitFileState: 'disabled' },
    check: 'at boot',
    verdict: 'warning',
    found: /^not started$/,
    change: /systemctl enable rom-agent\.service$/,
  },
  'too few descriptors for the unit': {
    unit: { LimitNOFILE: '512' },
    check: 'open files',
    verdict: 'problem',
    found: /^512 \(rom-agent\.service\)/,
    change: /LimitNOFILE=524288$/,
  },
  'more descriptors than the kernel gives': {
    unit: { LimitNOFILE: '2000000' },
    check: 'fs.nr_open',
    verdict: 'warning',
    found: /^1048576, and LimitNOFILE= asks for 2000000$/,
    change: /fs\.nr_open = 2000000 .*LimitNOFILE=1048576$/,
  },
};

describe('the unit', () => {
  for (const [what, { unit, check, verdict, found, change }] of Object.entries(cases)) {
    test(`${what}: ${verdict}`, async () => {
      const report = await examined({ unit });
      const finding = report.findings.find(
        (one) => one.check === check && (one.verdict === verdict || verdict === 'ok'),
      );
      assert.ok(finding !== undefined, JSON.stringify(report.of(check)));
      assert.equal(finding.verdict, verdict);
      assert.match(finding.found, found);
      if (change === null) assert.equal(finding.change, null);
      else assert.match(finding.change ?? '', change);
    });
  }

  test('files that are not there, or out of sight, are named', async () => {
    const script = '/usr/local/lib/rom-agent/dist/cli/main.js';
    const missing = await examined({ stats: { [script]: null } });
    assert.match(missing.of('ExecStart')[1] ?? '', /^problem: \/usr\/local\/.*main\.js does not exist$/);
    const unit = { ExecStart: execLine('/home/me/.nvm/node /opt/main.js serve') };
    const hidden = await examined({ unit, stats: { '/home/me/.nvm/node': {}, '/opt/main.js': {} } });
    assert.match(
      hidden.of('ExecStart')[1] ?? '',
      /^problem: \/home\/me\/\.nvm\/node is not visible to the service/,
    );
  });

  test('that does not run has the watchdog of its files', async () => {
    const unit = { MainPID: '0', ActiveState: 'inactive', WatchdogUSec: 'infinity' };
    assert.match((await examined({ unit })).one('WatchdogSec').found, /^30s: a ping every 10s/);
    assert.equal(
      (await examined({ unit, unitFiles: 'WatchdogSec=8' })).one('hang_timeout').verdict,
      'problem',
    );
    assert.equal((await examined({ unit, unitFiles: '' })).one('WatchdogSec').verdict, 'warning');
    assert.equal(
      (await examined({ unit, unitFiles: 'WatchdogSec=%i' })).one('WatchdogSec').verdict,
      'unknown',
    );
  });

  test('one that is not installed is unknown, and nothing of it is judged', async () => {
    const report = await examined({ unit: null, socket: null });
    assert.match(report.one('unit').found, /^rom-agent\.service is not installed/);
    assert.deepEqual(report.of('TimeoutStopSec'), []);
    assert.deepEqual(report.those('unknown'), ['unit']);
  });

  test('without systemd nothing of it is ok', async () => {
    const { findings } = await examined({ booted: false });
    const own = findings.filter(({ subject }) => subject === 'systemd');
    assert.deepEqual(
      own.map(({ verdict }) => verdict),
      ['unknown'],
    );
  });

  test('an old systemd is a warning, and what a newer one gives is said', async () => {
    assert.equal(
      (await examined({ systemdVersion: 'systemd 247 (247.3)' })).one('systemd').verdict,
      'warning',
    );
    const debian = await examined({ systemdVersion: 'systemd 252 (252.39-1~deb12u2)' });
    assert.match(debian.of('systemd').join(), /^ok: 252; 254 adds RestartSteps=/);
    assert.equal((await examined({ systemdVersion: 'what?' })).one('systemd').verdict, 'unknown');
  });
});

describe('the socket unit', () => {
  const active = { ActiveState: 'active', UnitFileState: 'enabled' };

  test('holds the port: then it starts the service, and the port is not tried', async () => {
    const report = await examined({
      socket: active,
      unit: { UnitFileState: 'disabled' },
      listens: 'EADDRINUSE',
    });
    assert.deepEqual(report.those('problem'), []);
    assert.deepEqual(report.those('warning'), []);
    assert.match(report.one('socket unit').found, /^enabled, and listens on \[::\]:3000$/);
    assert.match(report.of('port').join(), /rom-agent\.socket holds the sockets/);
  });

  test('on another port than the configured one is a warning', async () => {
    const report = await examined({ socket: active, unit: { Environment: 'PORT=8080' } });
    const finding = report.findings.find(({ check, verdict }) => check === 'port' && verdict === 'warning');
    assert.match(finding?.found ?? '', /listens on \[::\]:3000, but port 8080 is configured/);
    assert.match(
      finding?.change ?? '',
      /edit rom-agent\.socket: under \[Socket\] ListenStream=, ListenStream=8080$/,
    );
  });

  test('with several sockets, of which one is the configured path', async () => {
    const socket = { ...active, Listen: ['0.0.0.0:80 (Stream)', '/run/app.sock (Stream)'] };
    const report = await examined({
      socket,
      unit: { Environment: 'HOST=/run/app.sock', ReadWritePaths: '/run' },
    });
    assert.deepEqual(report.those('warning'), []);
  });

  test('that is enabled but does not listen is a warning, one that failed a problem', async () => {
    const late = await examined({ socket: { UnitFileState: 'enabled' } });
    assert.match(
      late.one('socket unit').change ?? '',
      /systemctl stop rom-agent\.service && sudo systemctl start/,
    );
    const failed = await examined({ socket: { UnitFileState: 'enabled', ActiveState: 'failed' } });
    assert.equal(failed.one('socket unit').verdict, 'problem');
  });

  test('whose sockets cannot be served is a problem', async () => {
    const accept = await examined({ socket: { ...active, Accept: 'yes' } });
    assert.equal(accept.one('Accept').verdict, 'problem');
    const datagram = await examined({
      socket: { ...active, Listen: '[::]:3000 (Stream) [::]:53 (Datagram)' },
    });
    assert.match(datagram.one('sockets').found, /^\[::\]:53 \(Datagram\) cannot be served/);
  });
});
