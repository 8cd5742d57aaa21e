import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../../integration/service.js';
import { fixtures, repoRoot } from '../../support/process.js';
import { command } from '../systemd/command.js';
import { needsPrograms } from '../systemd/machine.js';

test('the kernel ends all of a run that takes more than its limit, and counts it as a kill of none of the workers', {
  ...needsPrograms('linux.uml', 'perl'),
  timeout: 1_800_000,
}, async (t) => {
  const folder = temporaryDirectory(t);
  const init = join(folder, 'init.sh');
  const script = join(fixtures, 'jobs-memory.mjs');
  const node = `${process.execPath} --jitless ${script} ${join(repoRoot, 'build/src/jobs')}`;
  writeFileSync(
    init,
    `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t cgroup2 none /sys/fs/cgroup
echo +memory +pids > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/x.service
sh -c 'echo $$ > /sys/fs/cgroup/x.service/cgroup.procs; exec ${node}' 2>&1
halt -f -p
`,
    { mode: 0o755 },
  );
  // A Linux of its own, whose memory is in the tree of v2 whatever this side has; its disk is this one, to be read.
  const kernel = [
    'linux.uml',
    'mem=700M',
    'rootfstype=hostfs',
    'rootflags=/',
    'ro',
    'loglevel=1',
    'con=null',
  ];
  const own = [`init=${init}`, 'con0=fd:0,fd:1', `uml_dir=${folder}/`, 'cgroup_no_v1=all'];
  const { stdout, stderr } = await command([...kernel, ...own], { timeout: 1_200_000 });
  const result = /RESULT (\{.*\})/.exec(stdout)?.[1];
  assert.ok(result, stdout + stderr);
  assert.deepEqual(JSON.parse(result), {
    ...{ limitsMemory: true, limit: `${48 * 2 ** 20}`, outOfMemory: true, signal: 'SIGKILL' },
    ...{ left: ['main'], ofMain: 0, isCounted: true },
  });
});
