import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { describe, it } from 'node:test';
import { groupMembers } from '../../support/proc.js';
import { waitFor } from '../../support/wait.js';
import { load } from './fixture.js';
import { type Entry, type Standin, scaledClock } from './standin.js';

// 10 s of ThrottleInterval last 0.2 s here, 45 s of ExitTimeOut 0.9 s.
const clock = scaledClock(0.02);

const idle = 'console.log("up"); setInterval(() => {}, 1000);';
const obedient = `process.on("SIGTERM", () => process.exit(0)); ${idle}`;
const deaf = `process.on("SIGTERM", () => {}); ${idle}`;
/** Has a child that runs the script in CHILD; that one prints "up". */
const parent =
  'require("node:child_process").spawn(process.execPath, ["-e", process.env.CHILD], { stdio: "inherit" });' +
  'setInterval(() => {}, 1000);';

describe('the stand-in for launchd', () => {
  it('starts the job in a process group, directory and environment of its own', async (t) => {
    const script =
      'console.log(JSON.stringify({ cwd: process.cwd(), umask: process.umask(), env: process.env })); setInterval(() => {}, 1000)';
    const { job, standin, output } = load(t, { script, clock });
    const seen = JSON.parse((await waitFor('the report', () => firstLine(output()))) ?? '');
    assert.deepEqual(
      { cwd: seen.cwd, umask: seen.umask, label: seen.env.XPC_SERVICE_NAME, home: seen.env.HOME },
      { cwd: job.WorkingDirectory, umask: 0o027, label: 'org.rom-agent', home: undefined },
    );
    assert.equal(seen.env.ROM_AGENT_SUPERVISOR, 'launchd');
    assert.deepEqual(await groupMembers(standin.pid() ?? 0), [standin.pid()]);
  });

  it('creates the log with the job’s umask', async (t) => {
    const { job, output } = load(t, { script: idle, clock });
    await waitFor('the output', () => output());
    assert.equal(statSync(job.StandardOutPath).mode & 0o777, 0o640);
  });

  it('sets the limits of open files', { skip: process.platform !== 'linux' && 'reads /proc' }, async (t) => {
    const script = `console.log(require("node:fs").readFileSync("/proc/self/limits", "utf8")); ${idle}`;
    const { output } = load(t, { script, clock });
    await waitFor('the report', () => output().includes('up\n'));
    assert.match(output(), /Max open files +10240 +10240/);
  });

  it('stops a job by SIGTERM and leaves it stopped', async (t) => {
    const { standin, output } = load(t, { script: obedient, clock });
    await waitFor('the job', () => output());
    assert.deepEqual(await standin.bootout(), { code: 0, signal: null });
    assert.deepEqual(kinds(standin), ['launch', 'signal', 'exit']);
  });

  it('kills a job that outlasts ExitTimeOut', async (t) => {
    const { standin, output } = load(t, { script: deaf, clock });
    await waitFor('the job', () => output());
    assert.deepEqual(await standin.bootout(), { code: null, signal: 'SIGKILL' });
    assert.deepEqual(
      standin.log.filter(({ what }) => what === 'signal'),
      [
        { what: 'signal', signal: 'SIGTERM', to: 'main' },
        { what: 'signal', signal: 'SIGKILL', to: 'main' },
      ],
    );
  });

  it('leaves a job alone that ended with 0', async (t) => {
    const { standin } = load(t, { script: 'process.exit(0)', clock });
    await waitFor('the exit', () => kinds(standin).includes('exit'));
    assert.deepEqual(kinds(standin), ['launch', 'exit']);
  });

  it('starts a job again that ended otherwise, no sooner than ThrottleInterval after its start', async (t) => {
    // Far longer than the job itself takes on a busy machine.
    const { standin } = load(t, { script: 'process.exit(78)', clock, override: { ThrottleInterval: 300 } });
    await waitFor('the second start', () => kinds(standin).filter((what) => what === 'launch').length === 2);
    const [seconds] = standin.log.flatMap((entry) => (entry.what === 'throttle' ? [entry.seconds] : []));
    assert.ok(seconds !== undefined && seconds > 0 && seconds < 300, `waited ${seconds} s of 300`);
  });

  it('starts a job again at once that was killed after a long run', async (t) => {
    const { standin, output } = load(t, { script: idle, clock, override: { ThrottleInterval: 0 } });
    await waitFor('the job', () => output());
    process.kill(standin.pid() ?? 0, 'SIGKILL');
    await waitFor('the second start', () => kinds(standin).filter((what) => what === 'launch').length === 2);
    assert.deepEqual(standin.log.at(-2), { what: 'throttle', seconds: 0 });
  });

  it('sends the rest of the group a SIGTERM when the main process is gone', async (t) => {
    const { standin, output } = load(t, { script: parent, environment: { CHILD: idle }, clock });
    await waitFor('the child', () => output());
    const group = standin.pid() ?? 0;
    process.kill(group, 'SIGKILL');
    await waitFor('the end of the group', async () => (await groupMembers(group)).length === 0);
  });

  it('does no more than that: who ignores SIGTERM stays', async (t) => {
    const { standin, output } = load(t, { script: parent, environment: { CHILD: deaf }, clock });
    await waitFor('the child', () => output());
    const group = standin.pid() ?? 0;
    process.kill(group, 'SIGKILL');
    await waitFor('the second start', () => kinds(standin).filter((what) => what === 'launch').length === 2);
    assert.equal((await groupMembers(group)).length, 1);
  });

  it('spares the group of a job with AbandonProcessGroup', async (t) => {
    const { standin, output } = load(t, {
      script: parent,
      environment: { CHILD: idle },
      clock,
      override: { AbandonProcessGroup: true },
    });
    await waitFor('the child', () => output());
    const group = standin.pid() ?? 0;
    process.kill(group, 'SIGKILL');
    await waitFor('the second start', () => kinds(standin).filter((what) => what === 'launch').length === 2);
    assert.equal((await groupMembers(group)).length, 1);
  });
});

function kinds(standin: Standin): Entry['what'][] {
  return standin.log.map(({ what }) => what);
}

function firstLine(text: string): string | undefined {
  return text.includes('\n') ? text.split('\n')[0] : undefined;
}
