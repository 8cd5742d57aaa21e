import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RawHandle } from '../../../../src/protocol/handles.js';
import {
  channelEvent,
  type MasterMessage,
  monotonic,
  parseWorkerMessage,
  seal,
  type WorkerMessage,
} from '../../../../src/protocol/messages.js';
import { detach } from '../../../../src/worker/connections/connection-handle.js';
import { waitFor } from '../../../support/wait.js';
import { ByteClient } from '../byte-client.js';

const program = fileURLToPath(new URL('short-worker.js', import.meta.url));

interface Short {
  readonly server: string;
  /** What it said of its connections. */
  readonly said: WorkerMessage[];
  order(what: 'fill' | 'free'): Promise<unknown>;
  hand(message: MasterMessage, handle: RawHandle): Promise<Error | null>;
  readonly child: ChildProcess;
}

/** A worker that may have 64 file descriptors. */
async function shortWorker(t: TestContext): Promise<Short> {
  const child = spawn('/bin/sh', ['-c', 'ulimit -n 64; exec "$0" "$1"', process.execPath, program], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  t.after(() => child.kill('SIGKILL'));
  const said: WorkerMessage[] = [];
  child.on(channelEvent, (raw) => {
    const parsed = parseWorkerMessage(raw);
    if (parsed.kind === 'message' && parsed.message.type !== 'hello') said.push(parsed.message);
  });
  const answer = async (): Promise<unknown> => (await once(child, 'message'))[0];
  const { address, port } = (await answer()) as AddressInfo;
  return {
    server: `${address}|${port}`,
    said,
    child,
    order: (what) => {
      child.send(what);
      return answer();
    },
    hand: (message, handle) =>
      new Promise((resolve) => child.send(seal(message), handle as never, (error) => resolve(error))),
  };
}

async function connection(t: TestContext): Promise<{ client: ByteClient; handle: RawHandle }> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  await once(server, 'listening');
  const client = new ByteClient(connect((server.address() as AddressInfo).port, '127.0.0.1'));
  const handle = detach((await accepted)[0]) ?? assert.fail();
  server.close();
  t.after(() => client.socket.destroy());
  return { client, handle };
}

const request = Buffer.from('GET /here HTTP/1.1\r\nHost: a\r\n\r\n').toString('base64');

function take(id: number, server: string, until = monotonic() + 60_000): MasterMessage {
  return { type: 'take', id, from: 1, until, server, hops: 0, head: request, silence: null };
}

const skip = process.platform === 'linux' ? false : 'what a receiver without descriptors gets differs';

test('a worker without a file descriptor says that a connection did not reach it', { skip }, async (t) => {
  const worker = await shortWorker(t);
  const { client, handle } = await connection(t);
  await worker.order('fill');
  assert.equal(await worker.hand(take(1, worker.server), handle), null, 'its sender hears of nothing');
  await waitFor('an answer', () => worker.said.length);
  assert.deepEqual(worker.said, [{ ...seal({ type: 'taken', id: 1, outcome: 'lost' }) }]);
  await worker.order('free');
  await worker.hand(take(2, worker.server), handle);
  await client.until('[/here]');
  handle.close();
});

test('a connection that was given to somebody else meanwhile is no harm to a worker that goes on', async (t) => {
  const worker = await shortWorker(t);
  const [first, second, third] = [await connection(t), await connection(t), await connection(t)];
  worker.child.kill('SIGSTOP');
  const late = take(1, worker.server, monotonic() - 1);
  const sent = [first, second].map(({ handle }) => worker.hand(late, handle));
  // The first is on its way, the second waits in this process until that has arrived.
  for (const { handle } of [first, second]) handle.close();
  worker.child.kill('SIGCONT');
  assert.equal(await sent[0], null);
  assert.notEqual(await sent[1], null);
  await worker.hand(take(3, worker.server), third.handle);
  await third.client.until('[/here]');
  third.handle.close();
  assert.deepEqual(
    worker.said.map((message) => message.type === 'taken' && message.outcome),
    ['late', 'read'],
  );
  assert.equal(await first.client.ended(), 'fin', 'no copy of it is left');
});
