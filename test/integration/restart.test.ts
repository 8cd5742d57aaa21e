import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { describeLoad, startLoad } from '../support/load.js';
import { ask } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import {
  begun,
  connectToEach,
  ended,
  entries,
  entriesOf,
  lostNothing,
  patience,
  problems,
  readyPids,
  type Service,
  serve,
  stopped,
  temporaryDirectory,
  untilStats,
  warnings,
  workbench,
} from './service.js';

describe('a worker that is killed', { timeout: 1_800_000 }, () => {
  it('is replaced, and costs the clients of the others nothing', async (t) => {
    const service = await serve(t, { app: workbench });
    const workers = await connectToEach(t, service);
    const end = join(temporaryDirectory(t), 'end');
    const { pid: survivor, whole } = await begun(service, `/until?file=${end}`);
    const [killed] = [...workers.keys()].filter((pid) => pid !== survivor);
    assert.ok(killed !== undefined);
    const count = 8;
    const load = startLoad({ port: service.port, clients: [{ kind: 'per-connection', count }] });
    await load.reached(100);
    process.kill(killed, 'SIGKILL');
    await load.reached(100);
    const told = await untilStats(service, 'two ready workers', ({ ready }) => ready === 2);
    assert.deepEqual([told.restarts, told.wanted, told.workers.length], [1, 2, 2]);
    const [replacement] = told.workers.map(({ pid }) => pid).filter((pid) => pid !== survivor);
    assert.notEqual(replacement, killed);
    const report = await load.stop();
    // A client has one request under way: more than one each would be requests of others.
    assert.ok(report.failed <= count, describeLoad(report));
    writeFileSync(end, '');
    assert.equal(await whole, `${survivor}\ndone\n`);
    assert.deepEqual(new Set((await connectToEach(t, service)).keys()), new Set([survivor, replacement]));
    assert.deepEqual(deaths(service), ['ended by SIGKILL']);
    await stopped(service);
  });

  it('while it is stopped holds up nobody under shared dispatch', async (t) => {
    const service = await serve(t, { app: workbench, env: { ROM_AGENT_HANG_TIMEOUT: '60s' } });
    const [first] = await readyPids(service);
    assert.ok(first !== undefined);
    process.kill(first, 'SIGSTOP');
    const load = startLoad({ port: service.port, clients: [{ kind: 'per-connection', count: 24 }] });
    await load.reached(1_000, patience);
    process.kill(first, 'SIGKILL');
    await untilStats(service, 'its replacement', ({ ready, restarts }) => ready === 2 && restarts === 1);
    await load.reached(500, patience);
    await lostNothing(load);
    await stopped(service);
  });

  it('because it hangs is replaced within the hang limit', async (t) => {
    const service = await serve(t, { app: workbench, env: { ROM_AGENT_HANG_TIMEOUT: '6s' } });
    const [first, second] = await readyPids(service);
    assert.ok(first !== undefined);
    process.kill(first, 'SIGSTOP');
    const load = startLoad({ port: service.port, clients: [{ kind: 'per-connection', count: 8 }] });
    const [entry] = await entriesOf(
      service.daemon,
      /^worker 1 hung: silent for [\d.]+ s, stopped by a signal$/,
      1,
    );
    assert.equal(entry?.workerPid, first);
    const told = await untilStats(service, 'two ready workers', ({ ready }) => ready === 2);
    assert.deepEqual(
      told.workers.map(({ restarts }) => restarts),
      [1, 0],
    );
    assert.equal(told.workers[1]?.pid, second);
    await lostNothing(load);
    await stopped(service);
  });

  it('because it spins is replaced too', async (t) => {
    const service = await serve(t, { app: workbench, env: { ROM_AGENT_HANG_TIMEOUT: '6s' } });
    const before = await readyPids(service);
    const { pid: spinning } = await begun(service, '/spin');
    await untilStats(service, 'a restart', ({ restarts, ready }) => restarts === 1 && ready === 2);
    const after = await readyPids(service);
    assert.deepEqual(
      before.filter((pid) => !after.includes(pid)),
      [spinning],
    );
    await stopped(service);
  });
});

describe('an app that throws', { timeout: 1_800_000 }, () => {
  it('is restarted, and the log has one entry with the stack', async (t) => {
    const service = await serve(t, { app: workbench });
    assert.equal((await ask({ port: service.port, path: '/throw' })).text, 'throwing\n');
    await untilStats(service, 'the restart', ({ restarts, ready }) => restarts === 1 && ready === 2);
    await stopped(service);
    const [entry, ...others] = warnings(service.daemon);
    assert.deepEqual(others, []);
    assert.match(entry?.msg ?? '', /^worker \d crashed: Error: boom in a timer$/);
    assert.match(String(entry?.stack), /^Error: boom in a timer\n +at .*boom.*workbench\.mjs/s);
    assert.equal(service.daemon.lines.filter((line) => line.includes('boom in a timer')).length, 1);
  });
});

describe('the backoff', { timeout: 1_800_000 }, () => {
  it('begins with none and doubles from crash to crash', async (t) => {
    const boots = join(temporaryDirectory(t), 'boots');
    const service = await serve(t, {
      app: workbench,
      env: {
        WORKERS: '1',
        BOOTS_TO: boots,
        ROM_AGENT_RESTART_CRASH_DELAY: '400ms',
        ROM_AGENT_RESTART_CRASH_DELAY_MAX: '1s',
      },
    });
    const kills: number[] = [];
    for (let crash = 1; crash <= 4; crash += 1) {
      // There is a moment in which nobody listens: one worker is all there is.
      const [pid] = await waitFor('the worker', () => readyPids(service), {
        timeout: patience,
        until: (pids) => pids.length === 1,
      });
      assert.ok(pid !== undefined);
      kills.push(monotonic());
      process.kill(pid, 'SIGKILL');
      await entriesOf(service.daemon, /crashed/, crash);
    }
    await entriesOf(service.daemon, /is ready/, 4);
    const delays = delaysIn(service, /crashed/, [
      [0, 0],
      [200, 400],
      [400, 800],
      [500, 1000],
    ]);
    const next = bootsIn(boots).slice(1);
    assertWaited(delays, { deaths: kills, births: next.map(({ began }) => began) });
    await stopped(service);
  });

  it('of a worker that cannot start is another, and the rest serve on', async (t) => {
    const flag = join(temporaryDirectory(t), 'broken');
    const boots = join(temporaryDirectory(t), 'boots');
    const service = await serve(t, {
      app: workbench,
      env: {
        BOOT_FAILS_IF: flag,
        BOOTS_TO: boots,
        ROM_AGENT_RESTART_BOOT_DELAY: '300ms',
        ROM_AGENT_RESTART_CRASH_DELAY: '5s',
        ROM_AGENT_RESTART_CRASH_DELAY_MAX: '5s',
      },
    });
    writeFileSync(flag, '');
    const [first, second] = await readyPids(service);
    assert.ok(first !== undefined);
    process.kill(first, 'SIGKILL');
    const load = startLoad({ port: service.port, clients: [{ kind: 'per-connection', count: 4 }] });
    await entriesOf(service.daemon, /died before it listened/, 3);
    rmSync(flag);
    const told = await untilStats(service, 'two ready workers', ({ ready }) => ready === 2);
    assert.ok(told.workers.some(({ pid }) => pid === second));
    await lostNothing(load);
    const delays = delaysIn(service, /died before it listened: Error: the flag file is there/, [
      [150, 300],
      [300, 600],
      [600, 1200],
    ]);
    // After those of the start.
    const later = bootsIn(boots).slice(2);
    assertWaited(delays, {
      deaths: later.map(({ at }) => at),
      births: later.slice(1).map(({ began }) => began),
    });
    await stopped(service);
  });
});

describe('too many restarts', { timeout: 1_800_000 }, () => {
  it('end the master with status 75, once what still serves has drained', async (t) => {
    const service = await serve(t, { app: workbench, env: { ROM_AGENT_RESTART_INTENSITY: '1' } });
    const end = join(temporaryDirectory(t), 'end');
    const { pid: survivor, whole } = await begun(service, `/until?file=${end}`);
    for (let crash = 1; crash <= 2; crash += 1) {
      const pids = await waitFor('both workers', () => readyPids(service), {
        timeout: patience,
        until: ({ length }) => length === 2,
      });
      const [other] = pids.filter((pid) => pid !== survivor);
      assert.ok(other !== undefined);
      process.kill(other, 'SIGKILL');
      await entriesOf(service.daemon, /crashed/, crash);
    }
    writeFileSync(end, '');
    assert.equal(await whole, `${survivor}\ndone\n`);
    await ended(service.daemon, 75);
    assert.deepEqual(problems(service.daemon).slice(2), [
      'too many restarts: 2 within 60 s; the last: ended by SIGKILL',
    ]);
  });
});

/** The delays that were written about the restarts, ms, each between its bounds. */
function delaysIn(
  { daemon }: Service,
  pattern: RegExp,
  wanted: readonly (readonly [number, number])[],
): readonly number[] {
  const found = entries(daemon).filter(({ msg }) => pattern.test(msg));
  assert.equal(found.length, wanted.length, daemon.output());
  return found.map(({ restartInMs }, nth) => {
    const [least = 0, most = 0] = wanted[nth] ?? [];
    const delay = Number(restartInMs);
    assert.ok(delay >= least && delay <= most, `death ${nth + 1}: ${delay} ms, not ${least} to ${most}`);
    return delay;
  });
}

/**
 * Each worker was indeed not forked before its delay was over. Not by the log, which is written after the decision;
 * `deaths`: moments shortly before them, so that a slow machine only adds to what lies between.
 */
function assertWaited(
  delays: readonly number[],
  { deaths, births }: { deaths: readonly number[]; births: readonly number[] },
): void {
  for (const [nth, delay] of delays.entries()) {
    const waited = (births[nth] ?? Number.NaN) - (deaths[nth] ?? Number.NaN);
    // Timers count in whole milliseconds.
    assert.ok(waited >= delay - 2, `after death ${nth + 1}: ${waited} of ${delay} ms`);
  }
}

/** What the workbench writes to BOOTS_TO: when each process began, and when the app did. */
function bootsIn(path: string): { readonly began: number; readonly at: number }[] {
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** The clock of the workbench, ms. */
function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function deaths({ daemon }: Service): string[] {
  return problems(daemon).map((problem) => problem.replace(/^worker \d crashed: /, ''));
}
