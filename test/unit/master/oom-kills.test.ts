import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { watchOomKills } from '../../../src/master/memory.js';
import { fakeFiles } from '../../support/load-input.js';

const v2 = {
  '/proc/self/cgroup': '0::/system.slice/app.service\n',
  '/proc/self/mountinfo': '30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n',
};
const v1 = {
  '/proc/self/cgroup': '4:memory:/docker/abc\n0::/docker/abc\n',
  '/proc/self/mountinfo': '35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n',
};
const events = '/sys/fs/cgroup/system.slice/app.service/memory.events';

function watched(files: Record<string, string>) {
  const clock = { now: 0 };
  return {
    clock,
    kills: watchOomKills({ readFile: fakeFiles(files), platform: 'linux', now: () => clock.now }),
  };
}

describe('the kills of the kernel', () => {
  test('are those since the look before, in cgroup v2', () => {
    const files: Record<string, string> = { ...v2, [events]: 'low 0\noom 3\noom_kill 3\noom_group_kill 0\n' };
    const { kills } = watched(files);
    assert.equal(kills(), 0);
    files[events] = 'oom_kill 4\n';
    assert.equal(kills(), 1);
    assert.equal(kills(), 0);
  });

  test('are there in cgroup v1, too', () => {
    const path = '/sys/fs/cgroup/memory/docker/abc/memory.oom_control';
    const files: Record<string, string> = { ...v1, [path]: 'oom_kill_disable 0\nunder_oom 0\noom_kill 0\n' };
    const { kills } = watched(files);
    files[path] = 'oom_kill_disable 0\nunder_oom 0\noom_kill 1\n';
    assert.equal(kills(), 1);
  });

  test('of several at once are there for each of those that died', () => {
    const files: Record<string, string> = { ...v2, [events]: 'oom_kill 0\n' };
    const { kills, clock } = watched(files);
    files[events] = 'oom_kill 2\n';
    assert.deepEqual([kills(), kills(), kills()], [2, 1, 0]);
    files[events] = 'oom_kill 4\n';
    assert.equal(kills(), 2);
    clock.now = 2_001;
    assert.equal(kills(), 0, 'and for none that dies later');
  });

  test('of a job are none of a worker, once each has a cgroup of its own', () => {
    const files: Record<string, string> = { ...v2, [events]: 'oom_kill 1\n' };
    const { kills } = watched(files);
    const main = events.replace('app.service/', 'app.service/main/');
    files['/proc/self/cgroup'] = '0::/system.slice/app.service/main\n';
    files[main] = 'oom_kill 0\n';
    files[events] = 'oom_kill 2\n';
    assert.equal(kills(), 0);
    files[main] = 'oom_kill 1\n';
    assert.equal(kills(), 1);
  });

  test('are unknown where no cgroup counts them', () => {
    assert.equal(watched({}).kills(), null);
    assert.equal(
      watchOomKills({ readFile: () => assert.fail('read'), platform: 'darwin', now: () => 0 })(),
      null,
    );
  });
});
