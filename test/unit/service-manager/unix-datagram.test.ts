import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { journalSocket, sharedJournal } from '../../../src/logging/journal.js';
import { requireAddon } from '../../../src/service-manager/detect.js';
import {
  createSender,
  type Koffi,
  socketAddress,
  unixDatagrams,
} from '../../../src/service-manager/unix-datagram.js';
import { openNotifySocket, python } from '../../support/notify-socket.js';
import { processes } from '../../support/proc.js';
import { waitFor } from '../../support/wait.js';

/** A socket that takes so many until it is read. */
function fakes(room: number) {
  const taken: string[] = [];
  const due: (() => void)[] = [];
  const unread: string[][] = [];
  const socket = { room, gone: false };
  const sender = createSender(
    {
      trySend: (data) => {
        if (socket.gone) throw new Error('nobody is there');
        if (taken.length >= socket.room) return false;
        return taken.push(String(data)) > 0;
      },
    },
    { later: (act) => due.push(act), onUnread: (waiting) => unread.push([...waiting]) },
  );
  return { sender, taken, due, unread, socket, again: () => due.shift()?.() };
}

describe('what systemd is told, without waiting for it', () => {
  test('goes out at once, in order', () => {
    const { sender, taken, due } = fakes(9);
    for (const state of ['STATUS=a', 'READY=1']) sender.send(state);
    assert.deepEqual([taken, due], [['STATUS=a', 'READY=1'], []]);
  });

  test('is kept while nobody reads, tried again, and goes out in order then', () => {
    const { sender, taken, due, socket, again } = fakes(1);
    for (const state of ['READY=1', 'WATCHDOG=1', 'STATUS=a', 'WATCHDOG=1']) sender.send(state);
    assert.deepEqual([taken, due.length], [['READY=1'], 1]);
    again();
    assert.deepEqual([taken, due.length], [['READY=1'], 1]);
    socket.room = 9;
    again();
    assert.deepEqual([taken, due.length], [['READY=1', 'STATUS=a', 'WATCHDOG=1'], 0]);
  });

  test('is named once while nobody reads, from the second attempt on', () => {
    const { sender, unread, again } = fakes(0);
    for (const state of ['READY=1', 'STATUS=a']) sender.send(state);
    assert.deepEqual(unread, []);
    for (let n = 0; n < 3; n++) again();
    assert.deepEqual(unread, [['READY=1', 'STATUS=a']]);
  });

  test('is not kept without an end', () => {
    const { sender, taken, socket, again } = fakes(0);
    for (let n = 0; n < 1_000; n++) sender.send(`STATUS=${n}`);
    socket.room = 1_000;
    again();
    assert.deepEqual([taken.length, taken.at(-1)], [32, 'STATUS=999']);
  });

  test('is dropped where nobody is there any more, and what follows is sent once somebody is', () => {
    const { sender, taken, socket } = fakes(9);
    socket.gone = true;
    sender.send('STATUS=a');
    socket.gone = false;
    sender.send('STATUS=b');
    assert.deepEqual(taken, ['STATUS=b']);
  });
});

test('the address of a socket is a path that ends, or a name that does not', () => {
  assert.deepEqual(socketAddress('/run/n'), Buffer.from('\x01\x00/run/n\0', 'latin1'));
  assert.deepEqual(socketAddress('@n'), Buffer.from('\x01\x00\0n', 'latin1'));
});

describe('the addon for systemd', () => {
  const missing = new Error("Cannot find module 'sd-notify'");
  const only = (names: readonly string[]) => (name: string) => {
    if (!names.includes(name)) throw name === 'sd-notify' ? missing : new Error('no koffi');
    return { name, sendState: () => {}, load: () => ({ func: () => () => 3 }), errno: () => 0 };
  };
  const require = (names: readonly string[], platform: NodeJS.Platform = 'linux') => {
    const env = { NOTIFY_SOCKET: '/run/systemd/notify' };
    return requireAddon({ load: only(names), platform, env, onProblem: () => {} });
  };

  test('is sd-notify where it can be loaded, asked for room by koffi where that can be loaded too', () => {
    assert.equal((require(['sd-notify']) as { name?: string }).name, 'sd-notify');
    assert.equal((require(['sd-notify', 'koffi'], 'darwin') as { name?: string }).name, 'sd-notify');
    const sent: string[] = [];
    const room = { full: true };
    const func = (definition: string) => () => Number(definition.includes('poll') && !room.full);
    const modules = {
      'sd-notify': { sendState: (state: string) => sent.push(state) },
      koffi: { load: () => ({ func }), errno: () => 0 },
    };
    const load = (name: string) => modules[name as keyof typeof modules];
    const env = { NOTIFY_SOCKET: '/run/systemd/notify' };
    const { sendState } = requireAddon({ load, platform: 'linux', env, onProblem: () => {} });
    sendState('READY=1');
    assert.deepEqual(sent, []);
    room.full = false;
    const other = requireAddon({ load, platform: 'linux', env, onProblem: () => {} });
    other.sendState('STATUS=a');
    assert.deepEqual(sent, ['STATUS=a']);
  });

  test('is one that needs no compiler elsewhere, on Linux', () => {
    assert.equal(typeof require(['koffi']).sendState, 'function');
    assert.throws(() => require(['koffi'], 'darwin'), missing);
  });

  test('says what was wrong with sd-notify where there is neither', () => {
    assert.throws(() => require([]), missing);
  });
});

const koffi = loaded();
const hasPython = spawnSync(python, ['--version']).status === 0;
const skip =
  process.platform !== 'linux' || koffi === null || !hasPython ? 'needs Linux, koffi and python3' : false;

function loaded(): Koffi | null {
  return canLoad('koffi') ? (createRequire(import.meta.url)('koffi') as Koffi) : null;
}

function canLoad(name: string): boolean {
  try {
    return createRequire(import.meta.url)(name) !== undefined;
  } catch {
    return false;
  }
}

async function socketAt(t: TestContext, address: string) {
  const socket = await openNotifySocket(address, 60_000);
  t.after(socket.close);
  return socket;
}

function place(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, 'notify');
}

/** A signal takes effect later on another CPU: until then the reader would still make room. */
async function stopReading(t: TestContext, pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  t.after(() => process.kill(pid, 'SIGCONT'));
  const state = async () => (await processes()).find((info) => info.pid === pid)?.state;
  await waitFor('the reader stopped', state, { until: (is) => is === 'T' });
}

describe('a real socket', { skip }, () => {
  for (const [what, addressOf] of [
    ['at a path', place],
    ['of the abstract namespace', () => `@rom-agent-${process.pid}`],
  ] as const) {
    test(`${what} gets what is sent`, async (t) => {
      const address = addressOf(t);
      const socket = await socketAt(t, address);
      createSender(unixDatagrams(koffi as Koffi, address)).send('READY=1\nSTATUS=ä');
      await waitFor('the datagram', () => socket.datagrams.length > 0, { timeout: 60_000 });
      assert.equal(socket.datagrams[0]?.text, 'READY=1\nSTATUS=ä');
    });
  }

  test('that nobody reads takes no more after a while, and does not keep anybody waiting', async (t) => {
    const address = place(t);
    const socket = await socketAt(t, address);
    await stopReading(t, socket.pid);
    const { trySend } = unixDatagrams(koffi as Koffi, address);
    let sent = 0;
    // The longest queue that systemd asks the kernel for is 512.
    while (sent < 10_000 && trySend(Buffer.from('WATCHDOG=1'))) sent++;
    assert.ok(sent < 10_000, `${sent} datagrams`);
  });

  const addonSkip = canLoad('sd-notify') ? false : 'needs sd-notify';
  test('that is full does not block sd-notify, and gets all once it is read', {
    skip: addonSkip,
  }, async (t) => {
    const address = place(t);
    const socket = await socketAt(t, address);
    await stopReading(t, socket.pid);
    const { trySend } = unixDatagrams(koffi as Koffi, address);
    while (trySend(Buffer.from('WATCHDOG=1')));
    // libsystemd reads it from the environment.
    const before = process.env.NOTIFY_SOCKET;
    process.env.NOTIFY_SOCKET = address;
    t.after(() => {
      if (before === undefined) delete process.env.NOTIFY_SOCKET;
      else process.env.NOTIFY_SOCKET = before;
    });
    const problems: string[] = [];
    const onProblem = (problem: string) => void problems.push(problem);
    const { sendState } = requireAddon({ platform: 'linux', env: process.env, onProblem });
    sendState('READY=1\nSTATUS=ä');
    await waitFor('the warning', () => problems.length > 0);
    const expected = `systemd does not read its notification socket ${address}: READY=1 will be sent when it does`;
    assert.deepEqual(problems, [expected]);
    process.kill(socket.pid, 'SIGCONT');
    await waitFor('what had waited', () => socket.datagrams.at(-1)?.text === 'READY=1\nSTATUS=ä');
    assert.deepEqual(problems, [expected]);
  });

  test('of journald gets entries; one that is too large for a datagram, or that nobody reads, is not taken', async (t) => {
    const address = place(t);
    const socket = await socketAt(t, address);
    const sender = journalSocket(address);
    assert.equal(sender?.send(Buffer.from('MESSAGE=ä\nPRIORITY=6\n')), true);
    await waitFor('the entry', () => socket.datagrams[0]?.text === 'MESSAGE=ä\nPRIORITY=6\n');
    assert.equal(sender?.send(Buffer.alloc(2 ** 24)), false);
    assert.equal(journalSocket(`${address}.none`)?.send(Buffer.from('MESSAGE=a\n')), false);
    assert.equal(
      journalSocket(address, () => {
        throw new Error('no koffi');
      }),
      null,
    );
  });

  test('of journald is known to have something unread until it is read', async (t) => {
    const address = place(t);
    const socket = await socketAt(t, address);
    const sender = journalSocket(address);
    assert.equal(sender?.hasUnread(), false);
    await stopReading(t, socket.pid);
    assert.equal(sender?.send(Buffer.from('MESSAGE=a\n')), true);
    assert.equal(sender?.hasUnread(), true);
    process.kill(socket.pid, 'SIGCONT');
    await waitFor('that it is read', () => sender?.hasUnread() === false);
  });

  test('of journald is opened once for all logs of a process, also where there is none', () => {
    let opened = 0;
    const open = sharedJournal(() => {
      opened += 1;
      return null;
    });
    assert.deepEqual([open(), open(), opened], [null, null, 1]);
  });

  test('that is gone is no reason to fail', (t) => {
    createSender(unixDatagrams(koffi as Koffi, place(t))).send('READY=1');
  });
});
