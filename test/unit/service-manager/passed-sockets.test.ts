import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { sortSockets } from '../../../src/service-manager/passed-sockets.js';

const zeros = '00000000:00000000 00:00000000 00000000     0        0';
const tables: Readonly<Record<string, readonly string[]>> = {
  tcp: [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    `   0: 00000000:0050 00000000:0000 0A ${zeros} 101 1 00000000ac68d1d1 100 0 0 10 0`,
    `   1: 0100007F:0BB8 00000000:0000 0A ${zeros} 102 1 00000000ac68d1d1 100 0 0 10 0`,
    `   2: 0100007F:0BB8 0100007F:9C40 01 ${zeros} 103 1 00000000ac68d1d1 20 0 0 10 -1`,
  ],
  tcp6: [
    '  sl  local_address                         remote_address                        st',
    `   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A ${zeros} 104 1 0`,
  ],
  udp: ['  sl  local_address rem_address', ` 5439: 0100007F:E839 00000000:0000 07 ${zeros} 105 2 0 0`],
  unix: [
    'Num       RefCount Protocol Flags    Type St Inode Path',
    '0000000000000000: 00000002 00000000 00010000 0001 01   106 /run/with a space.sock',
    '0000000000000000: 00000002 00000000 00010000 0001 01 107 @abstract',
    '0000000000000000: 00000002 00000000 00000000 0002 01 108 /run/dgram.sock',
    '0000000000000000: 00000002 00000000 00010000 0005 01 109 /run/packets.sock',
    '0000000000000000: 00000003 00000000 00000000 0001 03 110',
  ],
};

/** A /proc in which descriptor 3 and those behind it are these. */
function proc(t: TestContext, ...links: readonly (string | number)[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-proc-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'self/fd'), { recursive: true });
  mkdirSync(join(folder, 'self/net'));
  writeFileSync(join(folder, 'self/stat'), '42 (node) R');
  for (const [name, rows] of Object.entries(tables))
    writeFileSync(join(folder, 'self/net', name), `${rows.join('\n')}\n`);
  links.forEach((link, index) => {
    symlinkSync(
      typeof link === 'number' ? `socket:[${link}]` : link,
      join(folder, 'self/fd', String(index + 3)),
    );
  });
  return folder;
}

function named(...names: readonly string[]) {
  return names.map((name, index) => ({ fd: index + 3, name }));
}

describe('sortSockets', () => {
  test('finds the port or the path of each', (t) => {
    const { app, control } = sortSockets(named('a', 'b', 'c', 'd', 'e'), proc(t, 101, 102, 104, 106, 107));
    assert.deepEqual(app, [
      { fd: 3, name: 'a', port: 80, path: null },
      { fd: 4, name: 'b', port: 3000, path: null },
      { fd: 5, name: 'c', port: 443, path: null },
      { fd: 6, name: 'd', port: null, path: '/run/with a space.sock' },
      { fd: 7, name: 'e', port: null, path: '@abstract' },
    ]);
    assert.equal(control, null);
  });

  test('keeps the one that is named control from the app', (t) => {
    const { app, control } = sortSockets(named('http', 'control', 'http'), proc(t, 101, 106, 104));
    assert.deepEqual(
      app.map(({ fd }) => fd),
      [3, 5],
    );
    assert.deepEqual(control, { fd: 4, name: 'control', port: null, path: '/run/with a space.sock' });
  });

  const expected = 'expected a listening stream socket (ListenStream= and Accept=no in its socket unit)';
  for (const [what, link] of [
    ['is a UDP socket', 105],
    ['is a TCP connection', 103],
    ['is a unix datagram socket', 108],
    ['is a unix socket of sequential packets', 109],
    ['is a unix socket that does not listen', 110],
    ['is /run/a.fifo', '/run/a.fifo'],
  ] as const) {
    test(`refuses one that ${what}`, (t) => {
      assert.throws(() => sortSockets(named('ok', 'http'), proc(t, 101, link)), {
        name: 'RomAgentError',
        exitCode: 78,
        message: `LISTEN_FDS: descriptor 4, named "http", ${what}; ${expected}`,
      });
    });
  }

  test('refuses a descriptor that is not open', (t) => {
    const message = `LISTEN_FDS: descriptor 4, named "unknown", is not open; ${expected}`;
    assert.throws(() => sortSockets(named('ok', 'unknown'), proc(t, 101)), { exitCode: 78, message });
  });

  test('refuses a control socket that is open to the network, and a second one', (t) => {
    assert.throws(() => sortSockets(named('control'), proc(t, 102)), {
      exitCode: 78,
      message: /^LISTEN_FDS: descriptor 3, named "control", is on TCP port 3000; expected a unix socket/,
    });
    assert.throws(() => sortSockets(named('control', 'x', 'control'), proc(t, 106, 101, 107)), {
      exitCode: 78,
      message: 'LISTEN_FDS: descriptors 3 and 5 are both named "control"; expected one such socket',
    });
  });

  test('leaves open where a socket of another network namespace listens', (t) => {
    const { app } = sortSockets(named('http'), proc(t, 999));
    assert.deepEqual(app, [{ fd: 3, name: 'http', port: null, path: null }]);
  });

  test('leaves it open where there is no /proc', () => {
    const { app } = sortSockets(named('http'), '/nowhere');
    assert.deepEqual(app, [{ fd: 3, name: 'http', port: null, path: null }]);
  });
});
