import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CompanionEvents, createCompanion, spawnCompanion } from '../../../src/master/companion.js';
import type { AdminMessage } from '../../../src/protocol/admin-process.js';

function supervised() {
  const log: string[] = [];
  const children: CompanionEvents<AdminMessage>[] = [];
  const waits: { ms: number; call: () => void }[] = [];
  let now = 0;
  let kills = 0;
  const server = createCompanion<AdminMessage>({
    spawn: (events) => {
      children.push(events);
      return { kill: () => void kills++ };
    },
    after: (ms, call) => {
      waits.push({ ms, call });
      return () => waits.splice(0);
    },
    now: () => now,
    info: (message) => log.push(message),
    warn: (message) => log.push(message),
    what: 'the admin server',
    where: '127.0.0.1:9464',
  });
  server.begin();
  return {
    ...{ server, log, children, waits },
    kills: () => kills,
    die: (how: string, after = 0) => {
      now += after;
      children.at(-1)?.onEnd(how);
    },
    passWait: () => {
      const [wait] = waits.splice(0);
      now += wait?.ms ?? 0;
      wait?.call();
      return wait?.ms;
    },
  };
}

const listening = { type: 'listening', port: 9464, token: null } as const;

describe('a process beside the master', () => {
  test('is started again, later each time, and the log says it once', () => {
    const { children, log, die, passWait } = supervised();
    children[0]?.onMessage(listening);
    const waits: unknown[] = [];
    for (let deaths = 0; deaths < 8; deaths++) {
      die('SIGKILL', 10);
      waits.push(passWait());
    }
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    assert.equal(children.length, 9);
    assert.deepEqual(log, [
      'the admin server listens on 127.0.0.1:9464',
      'the admin server ended (SIGKILL): starting it again in 1 s, the service goes on without it',
    ]);
    children.at(-1)?.onMessage(listening);
    assert.equal(log.at(-1), 'the admin server listens on 127.0.0.1:9464 again');
  });

  test('says its own reason, and another one when that changes', () => {
    const { children, log, die, passWait } = supervised();
    children[0]?.onMessage({ type: 'failed', message: 'admin: cannot listen' });
    die('exit status 1');
    passWait();
    die('SIGSEGV');
    assert.deepEqual(log, [
      'admin: cannot listen: starting it again in 1 s, the service goes on without it',
      'the admin server ended (SIGSEGV): starting it again in 2 s, the service goes on without it',
    ]);
  });

  test('begins a new row of failures after a minute', () => {
    const { die, passWait } = supervised();
    die('SIGKILL');
    assert.equal(passWait(), 1_000);
    die('SIGKILL');
    assert.equal(passWait(), 2_000);
    die('SIGKILL', 60_000);
    assert.equal(passWait(), 1_000);
  });

  test('ends with the service, and is not started again', () => {
    const { server, children, die, waits, kills } = supervised();
    server.end();
    assert.equal(kills(), 1);
    die('SIGTERM');
    assert.deepEqual([children.length, waits.length], [1, 0]);
    const other = supervised();
    other.die('SIGKILL');
    other.server.end();
    assert.deepEqual([other.children.length, other.waits.length], [1, 0]);
  });
});

describe('a process that cannot be started', () => {
  test('is reported as ended, whatever the system says', async () => {
    const settings = { tooLong: 'x'.repeat(200_000) };
    const how = await new Promise<string>((onEnd) => {
      const what = { main: 'none.js', variable: 'TOO_LONG', settings, heapLimit: 64 };
      const handle = spawnCompanion(
        { ...what, isMessage: (value): value is never => value === null },
        { onMessage: () => {}, onEnd },
      );
      handle.send({});
      handle.kill();
    });
    assert.match(how, /E2BIG/);
  });
});
