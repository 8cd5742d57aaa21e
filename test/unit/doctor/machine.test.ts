import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DaemonFacts } from '../../../src/doctor/facts.js';
import { examined, type World } from './fake-world.js';

describe('Node', () => {
  test('too old a one is a problem, and what a newer one gives is said', async () => {
    const { verdict, found, change } = (await examined({ nodeVersion: '20.18.3' })).one('version');
    assert.deepEqual([verdict, change], ['problem', 'Node 24: https://nodejs.org/en/download']);
    assert.match(found, /needs 20\.19; newer versions have dispatch reuseport \(22\.12\), a compile cache/);
  });

  test('one past its end is a warning, from the day after', async () => {
    const world = (day: string): World => ({ nodeVersion: '22.20.0', now: Date.parse(day) });
    assert.equal((await examined(world('2027-04-30T12:00:00Z'))).one('version').verdict, 'ok');
    const { verdict, found } = (await examined(world('2027-05-01T01:00:00Z'))).one('version');
    assert.equal(verdict, 'warning');
    assert.match(found, /no security fixes since 2027-04-30$/);
  });

  test('one that is newer than this list is fine', async () => {
    assert.deepEqual((await examined({ nodeVersion: '31.0.0' })).of('version'), ['ok: 31.0.0']);
  });

  test('another one than the unit runs is unknown, as is the addon for it', async () => {
    const report = await examined({ execPath: '/home/me/node', addon: new Error('no') });
    assert.deepEqual(report.those('unknown'), ['which one', 'sd-notify']);
    assert.match(
      report.one('which one').found,
      /^rom-agent\.service runs \/usr\/bin\/node, and this is \/home\/me\/node/,
    );
  });

  test('an addon that cannot be loaded is a problem for a unit, and none without systemd', async () => {
    const addon = new Error('Could not find\nRequire stack');
    const { verdict, found, change } = (await examined({ addon })).one('sd-notify');
    assert.equal(verdict, 'problem');
    assert.match(found, /^cannot be loaded \(Could not find\): a start under systemd ends with 78$/);
    assert.match(change ?? '', /npm ci with this Node, and sudo make install$/);
    assert.equal((await examined({ addon, booted: false })).one('sd-notify').verdict, 'ok');
  });
});

describe('the kernel', () => {
  const sysctl = (name: string, value: string) => ({
    [`/proc/sys/${name.replaceAll('.', '/')}`]: `${value}\n`,
  });

  test('somaxconn below the backlogs is a warning with the line to write', async () => {
    const { verdict, found, change } = (await examined({ files: sysctl('net.core.somaxconn', '128') })).one(
      'net.core.somaxconn',
    );
    assert.equal(verdict, 'warning');
    assert.match(found, /^128, below even Node's backlog of 511: /);
    assert.equal(
      change,
      'net.core.somaxconn = 4096 in /etc/sysctl.d/rom-agent.conf, then sudo sysctl --system',
    );
  });

  test('tcp_max_syn_backlog counts without SYN cookies only', async () => {
    const name = 'net.ipv4.tcp_max_syn_backlog';
    const small = sysctl(name, '512');
    assert.equal((await examined({ files: small })).one(name).verdict, 'ok');
    const bare = await examined({ files: { ...small, ...sysctl('net.ipv4.tcp_syncookies', '0') } });
    assert.deepEqual(
      [bare.one(name).verdict, bare.one(name).change?.slice(0, 28)],
      ['warning', 'net.ipv4.tcp_syncookies = 1 '],
    );
  });

  test('tcp_migrate_req counts with dispatch reuseport only', async () => {
    const name = 'net.ipv4.tcp_migrate_req';
    const unit = { Environment: 'ROM_AGENT_DISPATCH=reuseport' };
    const nodeVersion = '24.11.0';
    assert.deepEqual((await examined({ files: sysctl(name, '0') })).of(name), []);
    const off = (await examined({ files: sysctl(name, '0'), unit, nodeVersion })).one(name);
    assert.equal(off.verdict, 'warning');
    assert.match(off.change ?? '', /^net\.ipv4\.tcp_migrate_req = 1 in /);
    assert.equal((await examined({ files: sysctl(name, '1'), unit, nodeVersion })).one(name).verdict, 'ok');
    assert.match((await examined({ unit, nodeVersion })).one(name).found, /missing from this kernel/);
  });
});

describe('resources', () => {
  test('a limit of memory that the heaps of the workers exceed', async () => {
    const unit = { MemoryMax: String(2 ** 30), Environment: 'MAX_OLD_SPACE_SIZE=512' };
    const { verdict, found, change } = (await examined({ unit })).one('memory');
    assert.equal(verdict, 'warning');
    assert.match(
      found,
      /^4 workers with heaps of 512 MiB may take 2304 MiB, but only 1024 MiB \(MemoryMax=\)/,
    );
    assert.match(
      change ?? '',
      /^max_old_space_size = 166; or fewer workers; or sudo systemctl edit .* MemoryMax=2304M$/,
    );
  });

  test('heaps that follow the limit fit it, those of spares included', async () => {
    const unit = { MemoryMax: String(2 ** 30), Environment: 'ROM_AGENT_SPARES=2' };
    assert.equal((await examined({ unit })).one('memory').verdict, 'ok');
  });

  test('a limit of memory that leaves no heap at all is a problem', async () => {
    for (const mebibytes of [256, 350]) {
      const unit = { MemoryMax: String(mebibytes * 2 ** 20) };
      assert.equal((await examined({ unit })).one('memory').verdict, 'problem');
    }
  });

  test('the memory of the cgroup that the service is in counts, not that of the shell', async () => {
    const files = { '/sys/fs/cgroup/system.slice/memory.max': String(2 ** 28) };
    assert.match((await examined({ files })).one('memory').found, /256 MiB \(cgroup memory limit\)/);
    const idle = await examined({ files, unit: { MainPID: '0', ControlGroup: '' } });
    assert.match(idle.one('memory').found, /256 MiB \(cgroup memory limit\)/);
    assert.match((await examined({ files, unitName: null })).one('memory').found, /16384 MiB/);
  });

  test('a machine with too little memory for the usual heaps', async () => {
    const { verdict, change } = (await examined({ memory: 2 })).one('memory');
    assert.deepEqual([verdict, change], ['warning', 'max_old_space_size = 396; or fewer workers']);
  });

  test('memory.high without memory.max slows the service down without end', async () => {
    const unit = { MemoryHigh: String(2 ** 32) };
    assert.match((await examined({ unit })).one('MemoryHigh').change ?? '', /MemoryMax=4506M$/);
    const both = await examined({ unit: { ...unit, MemoryMax: String(2 ** 33) } });
    assert.equal(both.one('MemoryHigh').verdict, 'ok');
  });

  test('more workers than CPUs, by the quota of the unit too', async () => {
    const unit = { CPUQuotaPerSecUSec: '1.500000s', Environment: 'WORKERS=3' };
    const { verdict, found } = (await examined({ unit })).one('CPUs');
    assert.equal(verdict, 'warning');
    assert.match(found, /^2 \(CPUQuota=150%\) for 3 workers \(from WORKERS in the environment\)/);
    assert.match(
      (await examined({ unit: { CPUQuotaPerSecUSec: '1.500000s' } })).one('CPUs').found,
      /for 2 workers$/,
    );
  });

  test('a limit of threads that the processes exceed, or nearly', async () => {
    const tight = (await examined({ unit: { TasksMax: '60' } })).one('threads');
    assert.deepEqual(
      [tight.verdict, tight.found],
      ['problem', '66 in 6 processes, of 60: workers cannot be forked'],
    );
    assert.match(tight.change ?? '', /TasksMax=264$/);
    assert.equal((await examined({ unit: { TasksMax: '80' } })).one('threads').verdict, 'warning');
    const files = { '/sys/fs/cgroup/system.slice/pids.max': '50\n' };
    assert.equal((await examined({ files })).one('threads').verdict, 'problem');
  });

  test('a daemon that is process 1 of a container is warned of', async () => {
    const first: DaemonFacts = {
      state: 'runs',
      pid: 1,
      pids: [1],
      version: '',
      node: '',
      keepAliveTimeoutMs: null,
      settings: {},
    };
    const { found, change } = (await examined({ daemon: first })).one('process 1');
    assert.match(found, /stay as zombies/);
    assert.match(change ?? '', /docker run --init/);
  });

  test('the descriptors of the daemon that runs count, else those of the unit, else of the shell', async () => {
    const limits = 'Max open files            256      512      files     \n';
    const shell = await examined({ unitName: null, files: { '/proc/self/limits': limits } });
    assert.match(shell.one('open files').found, /^512 \(this shell\)/);
    const running: DaemonFacts = {
      state: 'runs',
      pid: 158,
      pids: [158],
      version: '',
      node: '',
      keepAliveTimeoutMs: null,
      settings: {},
    };
    const daemon = await examined({ daemon: running, files: { '/proc/158/limits': limits } });
    assert.match(daemon.one('open files').found, /^512 \(pid 158\)/);
    assert.equal(
      (await examined({ unitName: null, files: { '/proc/self/limits': '' } })).one('open files').verdict,
      'unknown',
    );
  });

  test('the version of cgroups', async () => {
    const mountinfo = (text: string) => ({ files: { '/proc/self/mountinfo': text } });
    const v1 = '31 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n';
    assert.match((await examined(mountinfo(v1))).one('cgroup').found, /^version 1: without memory\.high/);
    assert.equal((await examined(mountinfo(''))).one('cgroup').verdict, 'unknown');
  });
});

describe('the port', () => {
  test('held by somebody else is a problem that names him', async () => {
    const report = await examined({ listens: 'EADDRINUSE', holder: { pid: 9, name: 'nginx' } });
    const { verdict, found, change } = report.one('port 3000');
    assert.deepEqual([verdict, found], ['problem', 'held by pid 9 (nginx): a start would end with 69']);
    assert.match(change ?? '', /ss -ltnp 'sport = :3000'/);
    assert.match((await examined({ listens: 'EADDRINUSE' })).one('port 3000').found, /an unknown process/);
  });

  test('on an address that is none of this machine', async () => {
    const report = await examined({ listens: 'EADDRNOTAVAIL', unit: { Environment: 'HOST=10.9.9.9' } });
    assert.match(report.one('host').found, /^10\.9\.9\.9 is not an address of this machine/);
  });

  test('is not tried while the service starts, nor where it is a path or any free one', async () => {
    const worlds: readonly World[] = [
      { unit: { ActiveState: 'activating' } },
      { unit: { Environment: 'HOST=/run/rom-agent/http.sock' } },
      { unit: { Environment: 'PORT=0' } },
    ];
    for (const world of worlds) {
      const report = await examined({ ...world, listens: 'EADDRINUSE' });
      assert.equal(report.one('port').verdict, 'ok');
      assert.deepEqual(report.those('problem'), []);
    }
  });

  test('below 1024 needs a right of the unit, whatever this user may', async () => {
    const check = 'ports below 1024';
    const Environment = 'PORT=80';
    const bare = (await examined({ unit: { Environment } })).one(check);
    assert.equal(bare.verdict, 'problem');
    assert.match(
      bare.change ?? '',
      /PrivateUsers=no, CapabilityBoundingSet=CAP_NET_BIND_SERVICE, AmbientCap/,
    );
    const half = await examined({ unit: { Environment, AmbientCapabilities: 'cap_net_bind_service' } });
    assert.match(half.one(check).found, /PrivateUsers=yes limits that capability/);
    const right = { Environment, AmbientCapabilities: 'cap_net_bind_service', PrivateUsers: 'no' };
    assert.equal((await examined({ unit: right })).one(check).verdict, 'ok');
    const root = { Environment, DynamicUser: 'no', User: '', PrivateUsers: 'no' };
    assert.equal((await examined({ unit: root })).one(check).verdict, 'ok');
    const files = { '/proc/sys/net/ipv4/ip_unprivileged_port_start': '80\n' };
    assert.deepEqual((await examined({ unit: { Environment }, files })).of(check), []);
    const socket = { ActiveState: 'active', Listen: '[::]:80 (Stream)' };
    assert.deepEqual((await examined({ unit: { Environment }, socket })).of(check), []);
  });

  test('that this user may not have', async () => {
    const report = await examined({ unitName: null, listens: 'EACCES', env: { PORT: '80' } });
    assert.match(report.one('port 80').found, /would end with 77$/);
    const asked = await examined({ listens: 'EACCES', unit: { Environment: 'PORT=80' } });
    assert.equal(asked.one('port 80').verdict, 'unknown');
  });

  test('among those that outgoing connections get, unless it is reserved', async () => {
    const unit = { Environment: 'PORT=40000' };
    const { verdict, change } = (await examined({ unit })).one('port range');
    assert.equal(verdict, 'warning');
    assert.match(change ?? '', /^net\.ipv4\.ip_local_reserved_ports = 40000 in /);
    for (const list of ['40000', '1,39999-40001']) {
      const files = { '/proc/sys/net/ipv4/ip_local_reserved_ports': `${list}\n` };
      assert.deepEqual((await examined({ unit, files })).of('port range'), []);
    }
  });
});
