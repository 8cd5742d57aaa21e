import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { readListenQueue } from '../../../src/master/listen-queue.js';

const head =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const tcp = `${head}   0: 00000000:0BB8 00000000:0000 0A 00000000:00000011 00:00000000 00000000     0        0 2 1 0
   1: 0100007F:0050 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 3 1 0
   2: 0100007F:0BB8 0100007F:C350 01 00000000:000000FF 00:00000000 00000000     0        0 4 1 0
`;
const tcp6 = `${head}   0: 00000000000000000000000000000000:0BB9 00000000000000000000000000000000:0000 0A 00000000:00000002 00:0 0 0 0 5 1 0\n`;
const netstat = 'TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 7 9\nIpExt: A\nIpExt: 1\n';

test('what waits is the receive queue of the listening sockets of these ports', async () => {
  const asked: boolean[] = [];
  const queue = await readListenQueue(new Set([3000, 3001]), {
    readWhile: async (path, goesOn) => {
      const text = path === '/proc/net/tcp' ? tcp : tcp6;
      asked.push(goesOn(text));
      return text;
    },
    readFile: async () => netstat,
  });
  assert.deepEqual(queue, { waiting: 19, overflows: 7, drops: 9 });
  assert.deepEqual(asked, [false, true], 'it stops at the first row of a connection');
});

test('where nothing can be read, nothing is known', async () => {
  const gone = () => Promise.reject(new Error('ENOENT'));
  assert.deepEqual(await readListenQueue(new Set([3000]), { readWhile: gone, readFile: gone }), {
    waiting: null,
    overflows: null,
    drops: null,
  });
});

test('a socket of this process is found in /proc', {
  skip: process.platform !== 'linux' && 'needs /proc',
}, async (t) => {
  const server = createServer();
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const { waiting, overflows } = await readListenQueue(new Set([port]));
  assert.equal(waiting, 0);
  assert.equal(typeof overflows, 'number');
});
