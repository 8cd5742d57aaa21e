import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type MachineSeam, readMachine } from '../../../src/config/machine.js';
import { fakeFiles } from '../../support/load-input.js';

const gibibyte = 1024 ** 3;
const v2Mount = '30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n';
const v1Mounts =
  '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n' +
  '35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n';

function machine(files: Readonly<Record<string, string>> = {}, seam: Partial<MachineSeam> = {}) {
  return readMachine({
    readFile: fakeFiles(files),
    availableParallelism: () => 8,
    totalmem: () => 16 * gibibyte,
    platform: 'linux',
    ...seam,
  });
}

function v2(files: Readonly<Record<string, string>>, seam: Partial<MachineSeam> = {}) {
  const own = { '/proc/self/cgroup': '0::/system.slice/app.service\n', '/proc/self/mountinfo': v2Mount };
  return machine({ ...own, ...files }, seam);
}

describe('readMachine without limits', () => {
  test('counts the CPUs of the affinity and the memory of the machine', () => {
    assert.deepEqual(machine(), {
      cpus: 8,
      cpusFrom: 'CPU affinity',
      memory: 16_384,
      memoryFrom: 'memory of the machine',
      memoryIsLimited: false,
    });
  });

  test('does not look for cgroups on macOS', () => {
    const readFile = () => assert.fail('read a file');
    assert.equal(machine({}, { platform: 'darwin', readFile }).cpusFrom, 'CPUs of the machine');
  });
});

describe('readMachine with cgroup v2', () => {
  for (const [line, cpus, from] of [
    ['150000 100000', 2, 'cgroup CPU quota 1.5'],
    ['30000 100000', 1, 'cgroup CPU quota 0.3'],
    ['300000 100000', 3, 'cgroup CPU quota 3'],
    ['800000 100000', 8, 'CPU affinity'],
    ['max 100000', 8, 'CPU affinity'],
  ] as const) {
    test(`makes ${cpus} CPUs of the quota "${line}" and an affinity of 8`, () => {
      const { cpus: found, cpusFrom } = v2({
        '/sys/fs/cgroup/system.slice/app.service/cpu.max': `${line}\n`,
      });
      assert.deepEqual([found, cpusFrom], [cpus, from]);
    });
  }

  test('takes the tightest limit of the own cgroup and its ancestors', () => {
    const found = v2({
      '/sys/fs/cgroup/system.slice/app.service/cpu.max': '400000 100000\n',
      '/sys/fs/cgroup/system.slice/cpu.max': '200000 100000\n',
      '/sys/fs/cgroup/system.slice/app.service/memory.max': 'max\n',
      '/sys/fs/cgroup/system.slice/memory.max': `${2 * gibibyte}\n`,
    });
    assert.deepEqual(found, {
      cpus: 2,
      cpusFrom: 'cgroup CPU quota 2',
      memory: 2048,
      memoryFrom: 'cgroup memory limit',
      memoryIsLimited: true,
    });
  });

  test('takes memory.high for a limit, too', () => {
    const found = v2({
      '/sys/fs/cgroup/system.slice/app.service/memory.high': `${gibibyte}\n`,
      '/sys/fs/cgroup/system.slice/app.service/memory.max': `${2 * gibibyte}\n`,
    });
    assert.deepEqual([found.memory, found.memoryFrom], [1024, 'cgroup memory limit']);
  });

  test('falls back to the root of the mount where the path does not exist below it', () => {
    assert.equal(v2({ '/sys/fs/cgroup/cpu.max': '200000 100000\n' }).cpus, 2);
  });

  test('falls back to the root of the mount where the path leads out of the cgroup namespace', () => {
    const somebodyElse = { '/sys/fs/cgroup/../other/cpu.max': '100000 100000\n' };
    const files = { '/proc/self/cgroup': '0::/../other\n', '/sys/fs/cgroup/cpu.max': '200000 100000\n' };
    assert.equal(v2({ ...somebodyElse, ...files }).cpus, 2);
  });

  test('finds the usual place where the mounts cannot be read', () => {
    const files = { '/proc/self/cgroup': '0::/a\n', '/sys/fs/cgroup/a/cpu.max': '200000 100000\n' };
    assert.equal(machine(files).cpus, 2);
  });

  test('finds the mount of a hybrid hierarchy, and one with a space in its path', () => {
    const mountinfo = '41 31 0:38 / /mnt/c\\040groups rw,relatime shared:9 - cgroup2 cgroup2 rw\n';
    const files = {
      '/proc/self/mountinfo': mountinfo,
      '/mnt/c groups/system.slice/cpu.max': '200000 100000\n',
    };
    assert.equal(v2(files).cpus, 2);
  });

  test('ignores a limit on memory beyond what the machine has', () => {
    const found = v2({ '/sys/fs/cgroup/memory.max': `${64 * gibibyte}\n` });
    assert.equal(found.memoryFrom, 'memory of the machine');
  });

  test('ignores files with nonsense in them', () => {
    assert.equal(v2({ '/sys/fs/cgroup/cpu.max': 'zzz\n', '/sys/fs/cgroup/memory.max': '' }).cpus, 8);
  });
});

describe('readMachine where libuv cut the fraction off the quota', () => {
  const quota = { '/sys/fs/cgroup/cpu.max': '150000 100000\n' };
  const one = { availableParallelism: () => 1 };

  test('reads the affinity from the kernel and rounds the quota up', () => {
    const status = { '/proc/self/status': 'Name:\tnode\nCpus_allowed_list:\t0-3,6\n' };
    const found = v2({ ...quota, ...status, '/sys/devices/system/cpu/online': '0-7\n' }, one);
    assert.deepEqual([found.cpus, found.cpusFrom], [2, 'cgroup CPU quota 1.5']);
  });

  test('does not count CPUs that are offline', () => {
    const status = { '/proc/self/status': 'Cpus_allowed_list:\t0-127\n' };
    const found = v2({ ...quota, ...status, '/sys/devices/system/cpu/online': '0\n' }, one);
    assert.deepEqual([found.cpus, found.cpusFrom], [1, 'CPU affinity']);
  });

  test('believes libuv where the kernel does not say', () => {
    assert.equal(v2(quota, one).cpus, 1);
  });
});

describe('readMachine with cgroup v1', () => {
  const groups =
    '4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/docker/abc\n';

  test('reads quota and period, and -1 as no quota', () => {
    const quota = (microseconds: number) =>
      machine({
        '/proc/self/cgroup': groups,
        '/proc/self/mountinfo': v1Mounts,
        '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us': `${microseconds}\n`,
        '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us': '100000\n',
      }).cpus;
    assert.deepEqual([quota(250_000), quota(-1)], [3, 8]);
  });

  test('takes the huge number that means "no limit" for none', () => {
    const limit = (bytes: string) =>
      machine({
        '/proc/self/cgroup': groups,
        '/proc/self/mountinfo': v1Mounts,
        '/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes': `${bytes}\n`,
      }).memory;
    assert.deepEqual([limit('9223372036854771712'), limit('1073741824')], [16_384, 1024]);
  });

  test('understands a container that sees its own cgroup as the root of the mount', () => {
    const mountinfo = '32 31 0:29 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n';
    const found = machine({
      '/proc/self/cgroup': groups,
      '/proc/self/mountinfo': mountinfo,
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '200000\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    });
    assert.equal(found.cpus, 2);
  });
});
