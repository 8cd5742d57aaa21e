import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { portHolder } from '../../../src/processes.js';
import { freePort } from '../../support/net.js';

const head =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const row = (port: string, state: string, inode: number) =>
  `   0: 0100007F:${port} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1\n`;

interface Process {
  readonly name: string;
  readonly sockets: readonly number[];
}

function fakeProc(
  t: TestContext,
  { tables, processes }: { tables: Record<string, string>; processes: Record<string, Process> },
): string {
  const proc = mkdtempSync(join(tmpdir(), 'rom-agent-proc-'));
  t.after(() => rmSync(proc, { recursive: true }));
  mkdirSync(join(proc, 'net'));
  mkdirSync(join(proc, 'sys'));
  for (const [name, rows] of Object.entries(tables)) writeFileSync(join(proc, 'net', name), head + rows);
  for (const [pid, { name, sockets }] of Object.entries(processes)) {
    mkdirSync(join(proc, pid, 'fd'), { recursive: true });
    writeFileSync(join(proc, pid, 'comm'), `${name}\n`);
    symlinkSync('/dev/null', join(proc, pid, 'fd', '0'));
    for (const inode of sockets) symlinkSync(`socket:[${inode}]`, join(proc, pid, 'fd', String(inode)));
  }
  return proc;
}

test('a real listener is found', { skip: process.platform !== 'linux' && 'there is no /proc' }, async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const holder = portHolder((server.address() as AddressInfo).port);
  assert.equal(holder?.pid, process.pid);
  assert.notEqual(holder?.name, '');
});

test('nobody holds a free port', async () => {
  assert.equal(portHolder(await freePort()), null);
});

test('the process that has the listening socket open is named', (t) => {
  const tables = { tcp: row('0BB8', '0A', 12) + row('0BB9', '0A', 13) + row('0BB8', '01', 11), tcp6: '' };
  const processes = {
    11: { name: 'client', sockets: [11] },
    12: { name: 'nginx', sockets: [5, 12] },
    13: { name: 'other', sockets: [13] },
  };
  const proc = fakeProc(t, { tables, processes });
  assert.deepEqual(portHolder(3000, proc), { pid: 12, name: 'nginx' });
  assert.equal(portHolder(3002, proc), null);
});

test('a listener on IPv6 is found, and one where IPv6 is switched off', (t) => {
  const processes = { 7: { name: 'caddy', sockets: [70] } };
  const v6 = fakeProc(t, { tables: { tcp: '', tcp6: row('0050', '0A', 70) }, processes });
  assert.deepEqual(portHolder(80, v6), { pid: 7, name: 'caddy' });
  const v4 = fakeProc(t, { tables: { tcp: row('0050', '0A', 70) }, processes });
  assert.deepEqual(portHolder(80, v4), { pid: 7, name: 'caddy' });
});

test("a process of another user's is not found, and no error", (t) => {
  const proc = fakeProc(t, { tables: { tcp: row('0050', '0A', 70) }, processes: {} });
  assert.equal(portHolder(80, proc), null);
  assert.equal(portHolder(80, join(proc, 'nowhere')), null, 'as on macOS');
});

test('of a long table the listeners alone are read', (t) => {
  const listeners = Array.from({ length: 2_000 }, (_, port) =>
    row((10_000 + port).toString(16).toUpperCase().padStart(4, '0'), '0A', port + 1),
  );
  const connections = row('0050', '01', 70).repeat(2_000);
  const tables = { tcp: listeners.join('') + connections };
  const proc = fakeProc(t, { tables, processes: { 9: { name: 'last', sockets: [2_000] } } });
  assert.deepEqual(portHolder(11_999, proc), { pid: 9, name: 'last' });
});
