import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../support/wait.js';
import { parseJournal } from './journal.js';
import { needsMachine, sharedMachine } from './machine.js';
import { service } from './service.js';

test(
  'a quiet life leaves no warning, and every line has the PID of its writer',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, { name: 'quiet', app: 'misbehaves.cjs' });
    await own.start();
    const master = await own.master();
    const speaker = Number((await own.get('/say')).text);
    const said = await own.logged(/the app says hello/);
    assert.equal(said.pid, speaker);
    await own.systemctl('stop');
    assert.deepEqual(await own.warnings(), []);
    const entries = await own.log();
    const serving = entries.find(({ message }) => message.startsWith('serving with 2 workers'));
    assert.deepEqual([serving?.pid, serving?.priority], [master, 6]);
  },
);

test(
  'journalctl -p warning shows a crash, with its stack in one entry of several lines',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, { name: 'crashlog', app: 'misbehaves.cjs' });
    await own.start();
    await own.get('/say');
    await own.logged(/the app says hello/);
    await own.get('/boom').catch(() => null);
    const crash = await own.logged(/worker \d crashed: Error: boom in a request/);
    assert.equal(crash.priority, 3);
    assert.match(crash.message, /\n {4}at .*misbehaves\.cjs:\d+/);
    const { ROM_WORKER, ROM_GENERATION } = crash.fields;
    assert.deepEqual([`worker ${ROM_WORKER}`, ROM_GENERATION], [/^worker \d/.exec(crash.message)?.[0], '1']);
    await own.logged(new RegExp(`worker ${ROM_WORKER} is ready.*tookMs.*`));
    await waitFor('two workers', () => own.workers(), { until: (pids) => pids.length === 2 });
    await own.systemctl('stop');
    const warnings = (await own.warnings()).map(({ message }) => message);
    assert.equal(warnings.length, 1, warnings.join('\n'));
    // Lines of the app come by standard output, entries of the master by a socket of its own.
    const entries = (await own.log()).map(({ message }) => message);
    const order = [/serving with 2/, /the app says hello/, /crashed: Error: boom/, /stopping: /].map(
      (pattern) => entries.findIndex((message) => pattern.test(message)),
    );
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
    );
    const query = [
      'journalctl',
      '--boot',
      '--quiet',
      '--output=json',
      '--unit',
      own.unit,
      `ROM_WORKER=${ROM_WORKER}`,
    ];
    const stdout = await machine.must(query);
    const found = parseJournal(stdout).map(({ message }) => message);
    const about = new RegExp(`^worker ${ROM_WORKER} `);
    assert.ok(found.length >= 2 && found.every((message) => about.test(message)), found.join('\n'));
  },
);
