import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { inspectorAt, parseLsof, watchListeners } from './inspector-port.js';

const head =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const row = (address: string, port: string, inode: number): string =>
  `   0: ${address}:${port} 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1\n`;

/** A /proc with this process and one other, 7. */
function fakeProc(t: TestContext, { own, theirs }: { own: readonly number[]; theirs: readonly number[] }) {
  const proc = mkdtempSync(join(tmpdir(), 'rom-agent-proc-'));
  t.after(() => rmSync(proc, { recursive: true }));
  mkdirSync(join(proc, '7/net'), { recursive: true });
  const open = (process: string, inodes: readonly number[]): void => {
    mkdirSync(join(proc, process, 'fd'), { recursive: true });
    for (const inode of inodes) symlinkSync(`socket:[${inode}]`, join(proc, process, 'fd', String(inode)));
  };
  open('self', own);
  open('7', theirs);
  const table = (name: string, rows: string): void => writeFileSync(join(proc, '7/net', name), head + rows);
  return { proc, open, table };
}

describe('the listeners of a process', { skip: process.platform !== 'linux' && 'there is no /proc' }, () => {
  test('are those on the loopback that it alone has', async (t) => {
    const { proc, table } = fakeProc(t, { own: [10], theirs: [10, 11, 12, 13] });
    table(
      'tcp',
      row('00000000', '0BB8', 10) +
        row('0100007F', '2400', 11) +
        row('0A00020F', '2401', 12) +
        row('0100007F', '2402', 99),
    );
    table('tcp6', row('00000000000000000000000001000000', '2403', 13));
    assert.deepEqual(await watchListeners(7, { platform: 'linux', proc })(), [
      { host: '127.0.0.1', port: 0x2400 },
      { host: '::1', port: 0x2403 },
    ]);
  });

  test('are told once each', async (t) => {
    const { proc, open, table } = fakeProc(t, { own: [], theirs: [11] });
    const look = watchListeners(7, { platform: 'linux', proc });
    table('tcp', row('0100007F', '2400', 11));
    assert.equal((await look()).length, 1);
    assert.deepEqual(await look(), []);
    open('7', [12]);
    table('tcp', row('0100007F', '2400', 11) + row('0100007F', '2405', 12));
    assert.deepEqual(await look(), [{ host: '127.0.0.1', port: 0x2405 }]);
  });

  test('are none where the process is gone', async () => {
    assert.deepEqual(await watchListeners(7, { platform: 'linux', proc: '/nowhere' })(), []);
  });
});

describe('the output of lsof', () => {
  test('names the listeners of the loopback', () => {
    const output = 'p4711\nf23\nn127.0.0.1:9229\nf24\nn*:3000\nf25\nn192.168.1.4:80\nf26\nn[::1]:9230\n';
    assert.deepEqual(parseLsof(output), [
      { host: '127.0.0.1', port: 9229 },
      { host: '127.0.0.1', port: 3000 },
      { host: '::1', port: 9230 },
    ]);
  });

  test('may be empty', () => assert.deepEqual(parseLsof(''), []));
});

describe('an inspector', () => {
  const answerOf = async (t: TestContext, answer: RequestListener): Promise<string | null> => {
    const server = createServer(answer).listen(0, '127.0.0.1');
    t.after(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    return inspectorAt({ host: '127.0.0.1', port }, AbortSignal.timeout(5_000));
  };

  test('names its WebSocket', async (t) => {
    const url = 'ws://127.0.0.1:9229/3b2c';
    const answer = await answerOf(t, ({ url: path }, response) =>
      response.end(path === '/json/list' ? JSON.stringify([{ webSocketDebuggerUrl: url }]) : ''),
    );
    assert.equal(answer, url);
  });

  for (const [what, body] of [
    ['another page', '<html>'],
    ['other JSON', '{"a":1}'],
    ['an empty list', '[]'],
  ] as const) {
    test(`is not what answers with ${what}`, async (t) => {
      assert.equal(await answerOf(t, (_, response) => response.end(body)), null);
    });
  }

  test('is not what never answers, however long it is waited for', async (t) => {
    const server = createServer(() => {}).listen(0, '127.0.0.1');
    t.after(() => server.closeAllConnections());
    t.after(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    assert.equal(await inspectorAt({ host: '127.0.0.1', port }, AbortSignal.timeout(50)), null);
  });
});
