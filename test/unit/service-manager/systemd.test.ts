import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encode, passedSockets, pingInterval, systemd } from '../../../src/service-manager/systemd.js';

describe('encode', () => {
  test('RELOADING and its time travel in one datagram', () => {
    assert.equal(
      encode({ reloading: 123_456_789n, status: 'reloading' }),
      'RELOADING=1\nMONOTONIC_USEC=123456789\nSTATUS=reloading',
    );
  });

  test('puts everything that is told at once into one datagram, one assignment a line', () => {
    assert.equal(
      encode({ stopping: true, status: 'stopping (SIGTERM)', extend: 15_000, errno: 98 }),
      'STOPPING=1\nSTATUS=stopping (SIGTERM)\nERRNO=98\nEXTEND_TIMEOUT_USEC=15000000',
    );
    assert.equal(
      encode({ ready: true, status: '2 of 2 workers ready' }),
      'READY=1\nSTATUS=2 of 2 workers ready',
    );
    assert.equal(encode({ watchdog: true }), 'WATCHDOG=1');
  });

  test('keeps a STATUS on one line, so that it cannot say anything else', () => {
    assert.equal(encode({ status: 'it threw\n  READY=1\r\nERRNO=5' }), 'STATUS=it threw READY=1 ERRNO=5');
    assert.equal(encode({ status: 'a\rb\0c\td' }), 'STATUS=a b c d');
  });

  test('clears the STATUS with an empty one, and tells errno 0', () => {
    assert.equal(encode({ status: '', errno: 0 }), 'STATUS=\nERRNO=0');
  });

  test('stays below the 4096 bytes above which systemd ignores the whole datagram', () => {
    const datagram = encode({ stopping: true, status: '漢'.repeat(5_000), extend: 15_000 });
    assert.ok(Buffer.byteLength(datagram) < 4096, `${Buffer.byteLength(datagram)} bytes`);
    assert.match(datagram, /^STOPPING=1\nSTATUS=漢+…\nEXTEND_TIMEOUT_USEC=15000000$/);
    const status = 'x'.repeat(1_000);
    assert.equal(encode({ status }), `STATUS=${status}`);
  });

  test('tells microseconds as a whole number', () => {
    assert.equal(encode({ extend: 0.0126 }), 'EXTEND_TIMEOUT_USEC=13');
  });
});

describe('pingInterval', () => {
  test('is at most half of what systemd allows', () => {
    for (const usec of [1_000, 2_000_000, 30_000_000]) {
      const interval = pingInterval({ WATCHDOG_USEC: String(usec) }, 42);
      assert.ok(
        interval !== null && interval > 0 && interval * 1_000 <= usec / 2,
        `${interval} ms of ${usec} µs`,
      );
    }
  });

  test('is none where systemd asked for no pings, or for something that is no time', () => {
    for (const WATCHDOG_USEC of [undefined, '', '0', '-5', 'soon', '1.5', '99999999999999999999']) {
      assert.equal(
        pingInterval(WATCHDOG_USEC === undefined ? {} : { WATCHDOG_USEC }, 42),
        null,
        WATCHDOG_USEC,
      );
    }
  });

  test('is none where WATCHDOG_PID names another process', () => {
    const WATCHDOG_USEC = '3000000';
    assert.equal(pingInterval({ WATCHDOG_USEC, WATCHDOG_PID: '42' }, 42), 1_000);
    assert.equal(pingInterval({ WATCHDOG_USEC, WATCHDOG_PID: '43' }, 42), null);
    assert.equal(pingInterval({ WATCHDOG_USEC, WATCHDOG_PID: '' }, 42), null);
  });
});

describe('passedSockets', () => {
  test('are the descriptors from 3 on, with their names', () => {
    const env = { LISTEN_PID: '42', LISTEN_FDS: '3', LISTEN_FDNAMES: 'http::admin' };
    assert.deepEqual(passedSockets(env, 42), [
      { fd: 3, name: 'http' },
      { fd: 4, name: 'unknown' },
      { fd: 5, name: 'admin' },
    ]);
    assert.deepEqual(passedSockets({ LISTEN_PID: '42', LISTEN_FDS: '1' }, 42), [{ fd: 3, name: 'unknown' }]);
  });

  test('are none where LISTEN_PID is missing or names another process', () => {
    assert.deepEqual(passedSockets({ LISTEN_FDS: '1' }, 42), []);
    assert.deepEqual(passedSockets({ LISTEN_FDS: '1', LISTEN_PID: '1' }, 42), []);
  });

  test('are none where LISTEN_FDS is no count', () => {
    for (const LISTEN_FDS of ['', '0', '-1', 'x', '1.5', '99999999999']) {
      assert.deepEqual(passedSockets({ LISTEN_PID: '42', LISTEN_FDS }, 42), [], LISTEN_FDS);
    }
  });
});

describe('systemd', () => {
  function started(loadAddon: () => { sendState(state: string): void }) {
    const problems: string[] = [];
    const serviceManager = systemd({
      env: { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '3000000', WATCHDOG_PID: '42' },
      pid: 42,
      loadAddon,
      onProblem: (problem) => problems.push(problem),
    });
    return { serviceManager, problems };
  }

  test('sends through the addon, which is loaded with the first word and once', () => {
    const sent: string[] = [];
    let loads = 0;
    const { serviceManager } = started(() => {
      loads += 1;
      return { sendState: (state) => sent.push(state) };
    });
    assert.equal(loads, 0);
    serviceManager.notify({ ready: true });
    serviceManager.notify({ watchdog: true });
    assert.deepEqual(sent, ['READY=1', 'WATCHDOG=1']);
    assert.equal(loads, 1);
    assert.equal(serviceManager.pingInterval, 1_000);
  });

  test('runs without the addon, says so once and says what would help', () => {
    const { serviceManager, problems } = started(() => {
      throw new Error("Cannot find module 'sd-notify'\nRequire stack:\n- /app.js");
    });
    for (let index = 0; index < 3; index++) serviceManager.notify({ watchdog: true });
    assert.equal(problems.length, 1);
    assert.match(
      problems[0] ?? '',
      /neither sd-notify \(Cannot find module 'sd-notify'\) nor koffi can be loaded.*npm ci with this Node.*make install again$/,
    );
  });
});
