import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { openSockets, socketInode, tcpListeners } from '../../../src/processes.js';

const head =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const row = (local: string, state: string, inode: number): string =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1\n`;

function tables(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-net-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, rows] of Object.entries(files)) writeFileSync(join(folder, name), head + rows);
  return folder;
}

describe('the listeners of a network namespace', () => {
  test('are read with their addresses, of both families', (t) => {
    const folder = tables(t, {
      tcp: row('0100007F:0BB8', '0A', 12),
      tcp6: row('00000000000000000000000000000000:01BB', '0A', 13),
    });
    assert.deepEqual(
      [...tcpListeners(folder)],
      [
        { family: 'tcp', address: '0100007F', port: 3000, inode: '12' },
        { family: 'tcp6', address: '00000000000000000000000000000000', port: 443, inode: '13' },
      ],
    );
  });

  test('are all there before the first connection, behind which nothing is read', (t) => {
    const rows =
      row('00000000:0050', '0A', 1) + row('00000000:0050', '01', 2) + row('00000000:0051', '0A', 3);
    const found = [...tcpListeners(tables(t, { tcp: rows }))].map(({ inode }) => inode);
    assert.deepEqual(found, ['1']);
  });

  test('are none where there are no tables', () => assert.deepEqual([...tcpListeners('/nowhere')], []));
});

describe('the sockets of this process', { skip: process.platform !== 'linux' && 'there is no /proc' }, () => {
  test('are among its descriptors', async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const listener = [...tcpListeners('/proc/self/net')].find((other) => other.port === port);
    assert.ok(openSockets('/proc/self').has(listener?.inode ?? ''));
  });

  test('are none of a process that is gone, and no links to anything else', () => {
    assert.equal(openSockets('/proc/0').size, 0);
    assert.equal(socketInode('/proc/self/exe'), null);
    assert.equal(socketInode('/nowhere'), null);
  });
});
