import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { JobRun } from '../../../src/protocol/jobs.js';
import { waitFor } from '../../support/wait.js';
import type { Machine, UnitProcess } from '../systemd/machine.js';
import { inside, needsMachine, sharedMachine } from '../systemd/machine.js';
import { type Service, service } from '../systemd/service.js';

// The tree of v2 alone, as on every system of today, also where this side has a mixture of v1 and v2.
process.env.SYSTEMD_NSPAWN_UNIFIED_HIERARCHY = '1';

const state = '/var/lib/rom-agent';
const rom = [inside.node, `${inside.repo}/dist/cli/main.js`];
const control = ['--control-socket', '/run/rom-agent/control.sock'];
/** docs/how-to/jobs.md. */
const dropIn = ['Delegate=memory pids', 'ProtectControlGroups=no'];
const patience = 300_000;
const limitMib = 192;

/** On 29 February at midnight, so that nothing is due while the test runs. */
const never = 'schedule = "0 0 29 2 *"';
/** Sleepers in sessions of their own, one without a parent; the run lasts until the file `go` is there. */
const leaves = 'setsid sleep 3601 & (setsid sleep 3602 &)';
const jobs = `[jobs.tree]
${never}
command = "${leaves}; until test -e ${state}/go; do sleep 0.1; done"
[jobs.hungry]
${never}
memory_limit = ${limitMib}
command = ["${inside.node}", "-e", "const all = []; setInterval(() => all.push(Buffer.alloc(4 << 20, 1)), 50)"]
[jobs.slow]
${never}
on_stop = "end"
command = "${leaves}; trap 'echo bye; exit 0' TERM; echo up > ${state}/up; while :; do sleep 0.1; done"
[jobs.killed]
${never}
on_lost = "rerun"
on_stop = "end"
command = "${leaves}; echo $$ >> ${state}/killed; while :; do sleep 0.1; done"
`;

test('with the drop-in each run is in a cgroup of its own, of which nothing is left, and the service beside it goes on', {
  ...needsMachine(),
  timeout: 1_800_000,
}, async (t) => {
  const { machine, own, path } = await begun(t, { name: 'jobs', settings: [...dropIn, 'WatchdogSec=60'] });
  const workers = await own.workers();
  const { ControlGroup } = await own.show('ControlGroup');
  const base = join(machine.root, 'sys/fs/cgroup', ControlGroup);
  const groups = () =>
    readdirSync(base, { withFileTypes: true }).flatMap((each) => (each.isDirectory() ? each.name : []));

  const tree = runJob(machine, 'tree');
  const inRun = await sleepers(own, 2);
  const [group = ''] = groups().filter((name) => name.startsWith('job-'));
  assert.deepEqual(inRun.map(groupOf), [group, group]);
  const ofService = (await own.processes()).filter(({ name }) => /^(node|MainThread|rom-agent)/.test(name));
  assert.ok(ofService.length >= 3, 'the master and its workers');
  for (const each of ofService) assert.equal(groupOf(each), 'main', each.name);
  writeFileSync(path('go'), '');
  assert.equal((await tree).code, 0);
  assert.deepEqual([await named(own, 'sleep'), groups()], [[], ['main']]);
  const hasMemory = readFileSync(join(base, 'cgroup.controllers'), 'utf8').includes('memory');
  const said = (await own.logged(/each run of a job gets a cgroup below/)).message;
  assert.equal(/without a limit of memory/.test(said), !hasMemory, said);

  const hungry = runJob(machine, 'hungry');
  if (hasMemory) {
    const limit = () =>
      groups().flatMap((name) =>
        name === 'main' ? [] : readFileSync(join(base, name, 'memory.max'), 'utf8').trim(),
      );
    await waitFor('the limit of the run', limit, {
      timeout: patience,
      until: ([bytes]) => bytes === `${limitMib * 2 ** 20}`,
    });
  } else t.diagnostic('the memory controller is not in the tree of v2 here: the daemon looked at the memory');
  assert.equal((await hungry).code, 70);
  assert.equal((await runsOf(machine, 'hungry'))[0]?.verdict, 'memory');
  assert.deepEqual(groups(), ['main']);

  await own.becomes(
    'WatchdogTimestampMonotonic',
    newer(await own.show('WatchdogTimestampMonotonic')),
    patience,
  );
  assert.deepEqual(await own.workers(), workers);
  assert.equal((await own.systemctl('reload')).code, 0);
  const after = await own.processes();
  assert.ok(after.length >= 3);
  for (const each of after) assert.equal(groupOf(each), 'main', each.name);
  assert.equal((await own.get('/')).status, 200);

  const slow = runJob(machine, 'slow');
  await waitFor('the slow job', () => existsSync(path('up')), { timeout: patience });
  assert.equal((await own.systemctl('stop')).code, 0);
  assert.equal((await slow).code, 70);
  assert.equal((await own.show('Result')).Result, 'success');
  assert.deepEqual([await own.processes(), existsSync(base)], [[], false]);

  await own.start();
  const log = await jobLog(machine, 'slow');
  assert.equal(log.runs[0]?.verdict, 'ended');
  assert.match(log.output, /^bye$/m);
  const { NRestarts } = await own.show('NRestarts');
  assert.equal(NRestarts, '0');
});

test('a run whose master is killed under systemd is lost, of it nothing is left, and it runs again in a new cgroup', {
  ...needsMachine(),
  timeout: 1_800_000,
}, async (t) => {
  const { machine, own, path } = await begun(t, { name: 'jobs-killed', settings: dropIn });
  const begins = () =>
    existsSync(path('killed')) ? readFileSync(path('killed'), 'utf8').trim().split('\n') : [];
  const first = runJob(machine, 'killed');
  const old = (await sleepers(own, 2)).map(({ pid }) => pid);
  await own.kill(await own.master(), 'SIGKILL');
  assert.notEqual((await first).code, 0);
  await waitFor('the run again', begins, { timeout: patience, until: ({ length }) => length === 2 });
  const fresh = await sleepers(own, 2);
  assert.deepEqual(
    fresh.filter(({ pid }) => old.includes(pid)),
    [],
  );
  assert.equal(new Set(fresh.map(groupOf)).size, 1);
  assert.match(groupOf(fresh[0] as UnitProcess), /^job-/);
  const verdicts = (await runsOf(machine, 'killed')).map(({ verdict }) => verdict);
  assert.deepEqual(verdicts, [null, 'lost']);
  assert.equal((await own.systemctl('stop')).code, 0);
  assert.deepEqual(await own.processes(), []);
});

test('without the drop-in runs get no cgroups, which is said once, and nothing is left of them all the same', {
  ...needsMachine(),
  timeout: 1_800_000,
}, async (t) => {
  const { machine, own, path } = await begun(t, { name: 'jobs-plain' });
  writeFileSync(path('go'), '');
  for (const _ of [1, 2]) assert.equal((await runJob(machine, 'tree')).code, 0);
  assert.deepEqual(await named(own, 'sleep'), []);
  assert.equal((await runJob(machine, 'hungry')).code, 70);
  assert.equal((await runsOf(machine, 'hungry'))[0]?.verdict, 'memory');
  const told = (await own.log()).filter(({ message }) => /get no cgroups of their own/.test(message));
  assert.equal(told.length, 1);
  assert.match(
    told[0]?.message ?? '',
    /Delegate=memory pids and ProtectControlGroups=no in a drop-in of rom-agent-jobs-plain\.service/,
  );
});

interface Begun {
  readonly machine: Machine;
  readonly own: Service;
  /** A file of the state directory, as this side sees it. */
  readonly path: (name: string) => string;
}

async function begun(
  t: TestContext,
  { name, settings = [] }: { readonly name: string; readonly settings?: readonly string[] },
): Promise<Begun> {
  const machine = await sharedMachine();
  const config = `/etc/${name}.toml`;
  await machine.writeFile(config, jobs);
  const own = await service(machine, t, { name, env: { ROM_AGENT_CONFIG: config }, settings });
  await machine.run(['sh', '-c', `rm -rf ${state}/*`]);
  await own.start();
  return { machine, own, path: (file) => join(machine.root, state, file) };
}

function runJob(machine: Machine, job: string) {
  return machine.run([...rom, 'jobs', 'run', job, ...control], { timeout: patience });
}

interface JobLog {
  readonly runs: readonly JobRun[];
  readonly output: string;
}

async function jobLog(machine: Machine, job: string): Promise<JobLog> {
  return JSON.parse(await machine.must([...rom, 'jobs', 'log', job, '--json', ...control])) as JobLog;
}

async function runsOf(machine: Machine, job: string): Promise<readonly JobRun[]> {
  return (await jobLog(machine, job)).runs;
}

/** What the run has left in sessions of its own. */
function sleepers(own: Service, count: number): Promise<UnitProcess[]> {
  const look = async (): Promise<UnitProcess[]> => {
    const all = await named(own, 'sleep');
    return all.filter(({ hostPid }) => /^360[12]$/.test(argumentOf(hostPid)));
  };
  return waitFor('what the run has left', () => look().catch(() => []), {
    timeout: patience,
    until: ({ length }) => length === count,
  });
}

function argumentOf(hostPid: number): string {
  return readFileSync(`/proc/${hostPid}/cmdline`, 'utf8').split('\0')[1] ?? '';
}

async function named(own: Service, name: string): Promise<UnitProcess[]> {
  return (await own.processes()).filter((each) => each.name === name);
}

/** The last part of its cgroup. */
function groupOf({ hostPid }: UnitProcess): string {
  const line = /^0::(.*)$/m.exec(readFileSync(`/proc/${hostPid}/cgroup`, 'utf8'));
  return line?.[1]?.split('/').pop() ?? '';
}

function newer({
  WatchdogTimestampMonotonic: last,
}: {
  readonly WatchdogTimestampMonotonic: string;
}): RegExp {
  return new RegExp(`^(?!${last}$)[1-9]`);
}
