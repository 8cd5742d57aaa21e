import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { io, type Socket } from 'socket.io-client';
import { fixture, patience, type Service, serve, temporaryDirectory } from '../../integration/service.js';
import { waitFor } from '../../support/wait.js';

/** A client, and the worker that it is connected to. */
async function connected(t: TestContext, { port }: Service): Promise<{ socket: Socket; pid: number }> {
  const socket = io(`http://127.0.0.1:${port}`, { transports: ['websocket'], forceNew: true });
  t.after(() => socket.disconnect());
  await once(socket as unknown as NodeJS.EventEmitter, 'connect');
  return { socket, pid: (await socket.emitWithAck('who')) as number };
}

/** Two clients of two workers. */
async function pair(t: TestContext, service: Service) {
  const one = await connected(t, service);
  const other = await waitFor('a client of the other worker', () => connected(t, service), {
    timeout: patience,
    until: ({ pid }) => pid !== one.pid,
  });
  return { one, other };
}

function said(socket: Socket): Promise<readonly unknown[]> {
  return once(socket as unknown as NodeJS.EventEmitter, 'said');
}

describe('Socket.IO between workers, without Redis', () => {
  it('has rooms, broadcasts with buffers, fetchSockets and serverSideEmit', async (t) => {
    const service = await serve(t, {
      app: fixture('integration/chat.mjs'),
      env: { ROM_AGENT_STATE_DIR: temporaryDirectory(t) },
    });
    const { one, other } = await pair(t, service);
    await other.socket.emitWithAck('join', 'room');
    await waitFor(
      'each worker to know the other',
      async () => (await one.socket.emitWithAck('ask-all')) as readonly number[],
      { timeout: patience, until: (pids) => pids.includes(other.pid) },
    );

    const toRoom = said(other.socket);
    one.socket.emit('say', 'room', 'hello');
    assert.deepEqual(await toRoom, ['hello']);

    const toAll = Promise.all([said(one.socket), said(other.socket)]);
    one.socket.emit('all', Buffer.from('bytes'));
    for (const [bytes] of await toAll) assert.equal(Buffer.from(bytes as Uint8Array).toString(), 'bytes');

    const sockets = (await one.socket.emitWithAck('fetch', 'room')) as { id: string; pid: number }[];
    assert.deepEqual(sockets, [{ id: other.socket.id, pid: other.pid }]);
  });
});
