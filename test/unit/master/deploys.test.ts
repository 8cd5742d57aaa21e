import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { addToHistory, layoutOf } from '../../../src/deploy/layout.js';
import { createDeploys, type DeployEvents } from '../../../src/master/deploys.js';
import type { DeployLine, DeployOrder, DeployRecord } from '../../../src/protocol/deploy.js';
import type { Config } from '../../../src/settings/config.js';
import { makePlace } from '../deploy/place.js';

const nowMs = Date.UTC(2026, 10, 27, 2, 0, 0);
const id = '20261127-020000';
const record: DeployRecord = {
  ...{ id, ref: null, commit: null, by: 'alice', origin: 'command', atMs: nowMs, tookMs: 5, verdict: 'done' },
  ...{ reason: null, previous: 'old' },
};

function fakeDeploys(t: TestContext) {
  const place = makePlace(t);
  const started: { order: DeployOrder; on: DeployEvents }[] = [];
  const timers: { delay: number; act: () => void }[] = [];
  const said: string[] = [];
  const section = {
    ...{
      source: place.source,
      directory: place.directory,
      install: [],
      build: [],
      test: [],
      steps: [],
      env: {},
    },
    ...{ schedule: null as string | null, window: null as string | null },
  };
  const clock = { now: nowMs };
  const failing = { load: null as Error | null };
  const deploys = createDeploys({
    load: async () => {
      if (failing.load !== null) throw failing.load;
      return { deploy: section, app: null, workingDirectory: null } as unknown as Config;
    },
    controlSocket: '/nowhere',
    spawn: (order, on) => started.push({ order, on }),
    clock: () => clock.now,
    after: (delay, act) => {
      timers.push({ delay, act });
      return () => {};
    },
    log: { info: () => {}, warn: (text) => said.push(text), error: (text) => said.push(text) },
    onRecord: () => {},
  });
  const begin = async (lines: DeployLine[] = []) => {
    const answer = deploys.deploy({ by: 'alice' }, (line) => lines.push(line));
    await new Promise(setImmediate);
    const process = started.at(-1);
    assert.ok(process !== undefined);
    return { answer, process };
  };
  return { place, deploys, started, timers, said, section, clock, failing, begin };
}

describe('deploys, as the master sees them', () => {
  test('that cannot begin do not stand in the way of the next, and one by schedule says so', async (t) => {
    const { deploys, section, failing, timers, clock, said, begin } = fakeDeploys(t);
    failing.load = new Error('too many open files');
    await assert.rejects(deploys.deploy({ by: 'alice' }), /too many open files/);
    const settings = { ...section, schedule: '* * * * *' } as unknown as Config['deploy'];
    deploys.schedule(settings);
    clock.now += 60_000;
    timers.at(-1)?.act();
    await new Promise(setImmediate);
    assert.deepEqual(said, ['the scheduled deploy could not begin']);
    failing.load = null;
    const { process } = await begin();
    assert.equal(process.order.kind, 'deploy');
  });

  test('are one at a time, and the next may follow once the end is told', async (t) => {
    const { deploys, started, begin } = fakeDeploys(t);
    const lines: DeployLine[] = [];
    const { answer, process } = await begin(lines);
    process.on.onMessage({ type: 'accepted', id, message: 'deploy' });
    assert.equal((await answer).accepted, true);
    const second = await deploys.deploy({ by: 'bob' });
    assert.deepEqual(second, {
      accepted: false,
      reason: `a deploy is under way, ${id}: rom-agent releases shows it`,
    });
    process.on.onMessage({ type: 'line', line: { type: 'record', record } });
    assert.deepEqual(lines, []);
    process.on.onEnd('exit status 0');
    assert.deepEqual(lines, [{ type: 'record', record }]);
    await begin();
    assert.equal(started.length, 2);
  });

  test('whose process is killed are gone on with by another, and who listens hears of the end', async (t) => {
    const { started, begin, said } = fakeDeploys(t);
    const lines: DeployLine[] = [];
    const { answer, process } = await begin(lines);
    process.on.onMessage({ type: 'accepted', id, message: 'deploy' });
    await answer;
    process.on.onEnd('SIGKILL');
    assert.match(said.join(), /ended \(SIGKILL\): starting another one/);
    const next = started[1];
    assert.equal(next?.order.kind, 'resume');
    next?.on.onMessage({ type: 'line', line: { type: 'record', record } });
    next?.on.onEnd('exit status 0');
    assert.deepEqual(lines, [{ type: 'record', record }]);
  });

  test('that were done but not told are told from the history', async (t) => {
    const { started, begin, place } = fakeDeploys(t);
    const lines: DeployLine[] = [];
    const { process } = await begin(lines);
    process.on.onMessage({ type: 'accepted', id, message: 'deploy' });
    addToHistory(layoutOf(place.directory), record);
    process.on.onEnd('SIGKILL');
    started[1]?.on.onMessage({ type: 'nothing' });
    started[1]?.on.onEnd('exit status 0');
    assert.deepEqual(lines, [{ type: 'record', record }]);
  });

  test('whose process is always killed end all the same', async (t) => {
    const { started, begin, said } = fakeDeploys(t);
    const lines: DeployLine[] = [];
    const { process } = await begin(lines);
    process.on.onMessage({ type: 'accepted', id, message: 'deploy' });
    for (let number = 0; number < 6; number++) started[number]?.on.onEnd('SIGKILL');
    assert.match(said.at(-1) ?? '', /ended without a verdict/);
    assert.equal(lines.length, 1);
  });

  test('are told apart from what an earlier one has left', async (t) => {
    const { begin } = fakeDeploys(t);
    const lines: DeployLine[] = [];
    const { process } = await begin(lines);
    process.on.onMessage({ type: 'line', line: { type: 'record', record: { ...record, id: 'left' } } });
    process.on.onMessage({ type: 'accepted', id, message: 'deploy' });
    process.on.onMessage({ type: 'line', line: { type: 'record', record } });
    process.on.onEnd('exit status 0');
    assert.deepEqual(lines, [{ type: 'record', record }]);
  });

  test('are refused where nothing is configured', async (t) => {
    const { deploys, section } = fakeDeploys(t);
    Object.assign(section, { source: null });
    const answer = await deploys.deploy({ by: 'alice' });
    assert.ok(!answer.accepted && /set source in the section \[deploy\]/.test(answer.reason));
  });

  test('start by schedule at the time of the zone of the window, and not before', async (t) => {
    const { deploys, section, timers, started, clock } = fakeDeploys(t);
    const settings = { ...section, schedule: '30 2 * * *', window: '02:00-05:00 America/Sao_Paulo' };
    deploys.schedule(settings as unknown as Config['deploy']);
    // 02:30 in São Paulo is 05:30 in UTC.
    assert.equal(timers[0]?.delay, 3.5 * 3_600_000);
    timers[0]?.act();
    assert.equal(timers.length, 2, 'the clock was set back meanwhile');
    assert.equal(started.length, 0);
    clock.now += 3.5 * 3_600_000;
    timers[1]?.act();
    await new Promise(setImmediate);
    assert.ok(started[0]?.order.kind === 'deploy' && started[0].order.options.origin === 'schedule');
    deploys.schedule(settings as unknown as Config['deploy']);
    assert.equal(timers.length, 3, 'the next day, and no second timer for the same schedule');
  });
});
