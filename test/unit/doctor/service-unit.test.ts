import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serveFlags } from '../../../src/doctor/systemd.js';
import {
  parseProperties,
  parseService,
  parseSocket,
  parseSpan,
  parseWritten,
  portsOf,
  roundSeconds,
  watchdogInFiles,
} from '../../../src/doctor/units.js';

const parsed = (text: string) => parseService('shop.service', parseProperties(text));

test('a span is read in every form in which systemd prints it', () => {
  const spans = {
    '0': 0,
    '45s': 45_000,
    '1min 30s': 90_000,
    '1h 3.020000s': 3_603_020,
    '1.500000s': 1_500,
    '500ms': 500,
    '250us': 0.25,
    '1d': 86_400_000,
    infinity: Number.POSITIVE_INFINITY,
  };
  for (const [text, ms] of Object.entries(spans)) assert.equal(parseSpan(text), ms, text);
  for (const text of ['', 'soon', '5', '5 s', '[not set]']) assert.ok(Number.isNaN(parseSpan(text)), text);
});

test('a span is read as it may be written in a file', () => {
  const spans = { '': 0, '0': 0, '30': 30_000, '1min 30s': 90_000, '2 minutes': 120_000, '1.5h': 5_400_000 };
  for (const [text, ms] of Object.entries(spans)) assert.equal(parseWritten(text), ms, text);
  assert.equal(parseWritten('infinity'), Number.POSITIVE_INFINITY);
  for (const text of ['soon', '5 x', '-3', '%i']) assert.ok(Number.isNaN(parseWritten(text)), text);
});

test('of several files of a unit the last one decides about the watchdog', () => {
  const shipped = '# /lib/a.service\n[Service]\nWatchdogSec=30\nRestart=always\n';
  assert.equal(watchdogInFiles(shipped), 30_000);
  assert.equal(watchdogInFiles(`${shipped}\n# /etc/b.conf\n[Service]\nWatchdogSec=2min\nUser=a\n`), 120_000);
  assert.equal(watchdogInFiles(`${shipped}WatchdogSec=\n`), 0);
  assert.equal(watchdogInFiles('[Service]\n#WatchdogSec=30\n'), 0);
  assert.equal(watchdogInFiles('WatchdogSec=%i\n'), null);
});

test('what is written into a unit is rounded up to five seconds', () => {
  assert.deepEqual([45_000, 45_001, 1_000].map(roundSeconds), [45, 50, 5]);
});

test('the environment of a unit is read with its quotes', () => {
  const { environment } = parsed('Environment=PORT=8080 "A=x y" "B=q\\"z\\\\" C=\n');
  assert.deepEqual(environment, { PORT: '8080', A: 'x y', B: 'q"z\\', C: '' });
});

test('several values of one name are all there', () => {
  const { environmentFiles, execStart } = parsed(
    'EnvironmentFiles=/etc/a (ignore_errors=yes)\nEnvironmentFiles=/etc/b c (ignore_errors=no)\n' +
      'ExecStart={ path=/n ; argv[]=/n main.js serve "/srv/my app.js" ; ignore_errors=no ; pid=0 }\n',
  );
  assert.deepEqual(environmentFiles, [
    { path: '/etc/a', optional: true },
    { path: '/etc/b c', optional: false },
  ]);
  assert.deepEqual(execStart, [['/n', 'main.js', 'serve', '/srv/my app.js']]);
});

test('what is not there, or not set, is no limit', () => {
  const unit = parsed(
    'MemoryMax=infinity\nTasksMax=[not set]\nCPUQuotaPerSecUSec=1.500000s\nWatchdogUSec=0\n',
  );
  assert.deepEqual([unit.memoryMax, unit.tasksMax, unit.memoryHigh], Array(3).fill(Number.POSITIVE_INFINITY));
  assert.deepEqual([unit.cpuQuota, unit.watchdog], [1.5, 0]);
});

test('the cgroup of a unit that does not run is that of its slices', () => {
  assert.equal(parsed('ControlGroup=\nSlice=a-b.slice\n').controlGroup, '/a.slice/a-b.slice/shop.service');
  assert.equal(parsed('ControlGroup=\n').controlGroup, '/system.slice/shop.service');
});

test('the flags of a command line of serve are those that commander would have', () => {
  const flags = serveFlags([
    '/usr/bin/node',
    'main.js',
    'serve',
    '--drain-timeout',
    '2m',
    '--log-dir=/a=b',
    '/srv/x.js',
  ]);
  assert.deepEqual(flags, { drainTimeout: '2m', logDir: '/a=b', app: '/srv/x.js' });
  assert.deepEqual(serveFlags(['/usr/bin/npm', 'start']), {});
});

test('the sockets of a socket unit are read from one line or from several', () => {
  const one = parseSocket('a.socket', parseProperties('Listen=[::]:80 (Stream) /run/a.sock (Stream)\n'));
  const two = parseSocket(
    'a.socket',
    parseProperties('Listen=[::]:80 (Stream)\nListen=/run/a.sock (Stream)\n'),
  );
  assert.deepEqual(one, two);
  assert.deepEqual([one.listens, portsOf(one), one.unserved], [['[::]:80', '/run/a.sock'], [80], []]);
});
