import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MemoryReading } from '../../../src/core/events.js';
import { readMemory, watchMemory } from '../../../src/master/memory.js';
import { fakeFiles } from '../../support/load-input.js';

const gibibyte = 2 ** 30;
const v2 = {
  '/proc/self/cgroup': '0::/system.slice/app.service\n',
  '/proc/self/mountinfo': '30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n',
};
const own = '/sys/fs/cgroup/system.slice/app.service';

function read(files: Readonly<Record<string, string>>): MemoryReading | null {
  return readMemory({ readFile: fakeFiles(files), platform: 'linux', totalmem: () => 16 * gibibyte });
}

describe('the memory of a cgroup', () => {
  test('is what is used without the cache that can be taken back, of its least limit, in v2', () => {
    const reading = read({
      ...v2,
      [`${own}/memory.high`]: `${gibibyte}\n`,
      [`${own}/memory.max`]: `${2 * gibibyte}\n`,
      [`${own}/memory.current`]: '900000000\n',
      [`${own}/memory.stat`]:
        'anon 1\nfile 2\ninactive_anon 3\ninactive_file 99000000\nactive_file 600000\nslab_reclaimable 400000\n',
      [`${own}/memory.pressure`]:
        'some avg10=40.00 avg60=0.00 total=9\nfull avg10=12.50 avg60=0.00 total=9\n',
    });
    assert.deepEqual(reading, { type: 'memory', used: 800_000_000, limit: gibibyte, stalled: 0.125 });
  });

  test('is that of the ancestor which is nearer to its limit', () => {
    const reading = read({
      ...v2,
      [`${own}/memory.max`]: '1000\n',
      [`${own}/memory.current`]: '500\n',
      '/sys/fs/cgroup/system.slice/memory.max': '2000\n',
      '/sys/fs/cgroup/system.slice/memory.current': '1900\n',
    });
    assert.deepEqual(reading, { type: 'memory', used: 1900, limit: 2000, stalled: null });
  });

  test('has no pressure in v1', () => {
    const group = '/sys/fs/cgroup/memory/docker/abc';
    const reading = read({
      '/proc/self/cgroup': '4:memory:/docker/abc\n0::/\n',
      '/proc/self/mountinfo':
        '35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n' +
        '36 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n',
      '/sys/fs/cgroup/unified/memory.pressure': 'full avg10=90.00 avg60=0.00 avg300=0.00 total=9\n',
      [`${group}/memory.limit_in_bytes`]: '1000\n',
      [`${group}/memory.usage_in_bytes`]: '700\n',
      [`${group}/memory.stat`]: 'inactive_file 1\ntotal_inactive_file 60\ntotal_active_file 40\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      '/sys/fs/cgroup/memory/memory.usage_in_bytes': '700\n',
    });
    assert.deepEqual(reading, { type: 'memory', used: 600, limit: 1000, stalled: null });
  });

  for (const [what, files] of [
    ['there is no cgroup', {}],
    ['there is no limit', { ...v2, [`${own}/memory.max`]: 'max\n', [`${own}/memory.current`]: '5\n' }],
    [
      'the limit is beyond what the machine has',
      { ...v2, [`${own}/memory.max`]: `${64 * gibibyte}\n`, [`${own}/memory.current`]: '5\n' },
    ],
  ] as const) {
    test(`is nobody's business where ${what}`, () => assert.equal(read(files), null));
  }
});

describe('the watch over it', () => {
  const limited = fakeFiles({ ...v2, [`${own}/memory.max`]: '1000\n', [`${own}/memory.current`]: '500\n' });
  const seam = { platform: 'linux', totalmem: () => gibibyte } as const;

  test('posts a reading a second, until it is ended', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const posted: MemoryReading[] = [];
    const end = watchMemory({ ...seam, readFile: limited, post: (reading) => posted.push(reading) });
    t.mock.timers.tick(3_000);
    assert.equal(posted.length, 3);
    end();
    t.mock.timers.tick(3_000);
    assert.equal(posted.length, 3);
  });

  test('has no timer where there is nothing to watch', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    let reads = 0;
    const readFile = (): string => {
      reads += 1;
      throw new Error('there is no such file');
    };
    watchMemory({ ...seam, readFile, post: () => assert.fail('posted') });
    const before = reads;
    t.mock.timers.tick(3_000);
    assert.equal(reads, before);
  });
});
