import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Failure, type Payload, type Target } from '../../../src/notify/deliver.js';
import { createNotifier } from '../../../src/notify/notifier.js';
import { waitFor } from '../../support/wait.js';

const settings = {
  command: ['/bin/page'],
  webhook: null,
  webhookFile: null,
  tokenFile: null,
  interval: 600_000,
  unhealthyAfter: 60_000,
};
const rollback = { type: 'rollback', generation: 7, cause: 'the canary died', by: 'ann' } as const;

/** One target, which fails as often as it is told to; time passes when the test says so. */
function fakes(t: TestContext, { failures = [] as (Error | 'never')[], isOn = true } = {}) {
  const stateDir = mkdtempSync(join(tmpdir(), 'rom-agent-notify-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const told: Payload[] = [];
  const waiting: { delay: number; call: () => void }[] = [];
  const said: string[] = [];
  let attempts = 0;
  const target: Target = {
    name: 'the command /bin/page',
    deliver: async (payload, signal) => {
      const failure = failures[attempts++];
      if (failure === 'never') {
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('cut'))));
      }
      if (failure instanceof Error) throw failure;
      told.push(payload);
    },
  };
  const notifier = createNotifier({
    settings: () => (isOn ? settings : { ...settings, command: [] }),
    service: 'shop',
    host: 'web1',
    stateDir,
    makeDirectory: async (path) => void mkdirSync(path, { recursive: true }),
    clock: () => 1_795_000_000_000,
    random: () => 0.5,
    after: (delay, call) => {
      const entry = { delay, call };
      waiting.push(entry);
      return () => void waiting.splice(waiting.indexOf(entry), 1);
    },
    onTold: (message) => said.push(message),
    onProblem: (message) => said.push(message),
    targets: async () => [target],
  });
  return { notifier, stateDir, told, waiting, said, attempts: () => attempts };
}

describe('the notifier', () => {
  test('tells what it is, of which service, and why', async (t) => {
    const { notifier, told, stateDir } = fakes(t);
    notifier.observe(rollback);
    await waitFor('the notification', () => told.length === 1);
    const message = 'the reload to generation 7 was rolled back: the canary died';
    assert.deepEqual(told[0], {
      version: 1,
      type: 'rollback',
      text: `shop on web1: ${message}`,
      service: 'shop',
      host: 'web1',
      atMs: 1_795_000_000_000,
      message,
      cause: 'the canary died',
      details: { generation: 7, by: 'ann' },
      untold: 0,
    });
    await notifier.end(1_000);
    assert.deepEqual(JSON.parse(readFileSync(join(stateDir, 'notified.json'), 'utf8')), {
      rollback: { atMs: 1_795_000_000_000, untold: 0 },
    });
  });

  test('tries again, later each time, until it is told', async (t) => {
    const failures = [new Failure('it answered 503'), new Failure('it answered 503')];
    const { notifier, told, waiting, said } = fakes(t, { failures });
    notifier.observe(rollback);
    for (const delay of [1_000, 2_000]) {
      await waitFor('another attempt to wait', () => waiting.length === 1);
      assert.equal(waiting[0]?.delay, delay);
      waiting[0]?.call();
    }
    await waitFor('the notification', () => told.length === 1);
    assert.deepEqual(said, [
      'the command /bin/page was not told: it answered 503; trying again',
      'the command /bin/page was not told: it answered 503; trying again',
      'told the command /bin/page: the reload to generation 7 was rolled back: the canary died',
    ]);
  });

  test('gives up at once where another attempt would not help, else after eight', async (t) => {
    const lasting = fakes(t, { failures: [new Failure('it answered 404', { isLasting: true })] });
    lasting.notifier.observe(rollback);
    await waitFor('the end', () => lasting.said.length === 1);
    assert.match(lasting.said.join(), /404; giving up$/);
    const down = fakes(t, { failures: new Array(20).fill(new Failure('ECONNREFUSED')) });
    down.notifier.observe(rollback);
    await waitFor('the end', () => {
      down.waiting[0]?.call();
      return down.said.at(-1)?.endsWith('giving up');
    });
    assert.equal(down.attempts(), 8);
  });

  test('at the end gives what waits one more attempt at once', async (t) => {
    const { notifier, told, waiting } = fakes(t, { failures: [new Failure('it answered 503')] });
    notifier.observe(rollback);
    await waitFor('another attempt to wait', () => waiting.length === 1);
    await notifier.end(1_000);
    assert.equal(told.length, 1);
  });

  test('at the end waits for what is under way for so long, and then cuts it', async (t) => {
    const { notifier, told, waiting, said, attempts } = fakes(t, { failures: ['never'] });
    notifier.observe(rollback);
    await waitFor('the attempt', () => attempts() === 1);
    const end = notifier.end(3_000);
    await waitFor('the limit', () => waiting.length === 1);
    assert.equal(waiting[0]?.delay, 3_000);
    waiting[0]?.call();
    await end;
    await waitFor('the cut', () => said.length === 1);
    assert.deepEqual([told, said], [[], ['the command /bin/page was not told: cut; giving up']]);
  });

  test('remembers over a restart what it has told', async (t) => {
    const { notifier, told, stateDir } = fakes(t);
    const earlier = { rollback: { atMs: 1_795_000_000_000 - 1_000, untold: 0 } };
    writeFileSync(join(stateDir, 'notified.json'), JSON.stringify(earlier));
    notifier.observe(rollback);
    await notifier.end(1_000);
    assert.deepEqual(told, []);
  });

  test('tells all the same where what it remembers is damaged', async (t) => {
    const { notifier, told, stateDir } = fakes(t);
    writeFileSync(join(stateDir, 'notified.json'), '{"rollback":{"atMs":"yesterday"}}');
    notifier.observe(rollback);
    await notifier.end(1_000);
    assert.equal(told.length, 1);
  });

  test('does nothing where there is nobody to tell', async (t) => {
    const { notifier, told } = fakes(t, { isOn: false });
    notifier.observe(rollback);
    assert.equal(await notifier.test('ann'), null);
    await notifier.end(1_000);
    assert.deepEqual(told, []);
  });

  test('says of a test what came of it, and does not repeat it', async (t) => {
    const { notifier, told } = fakes(t, { failures: [new Failure('it answered 401')] });
    const [failed] = (await notifier.test('ann')) ?? [];
    assert.deepEqual([failed?.target, failed?.failure], ['the command /bin/page', 'it answered 401']);
    const [sent] = (await notifier.test('ann')) ?? [];
    assert.deepEqual([sent?.failure, told[0]?.type, told[0]?.message], [null, 'test', 'a test by ann']);
  });
});
