import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createAccepting } from '../../../../src/worker/connections/descriptors.js';
import { ask, descriptorOf } from '../../../support/net.js';
import { waitFor } from '../../../support/wait.js';

const program = fileURLToPath(new URL('pausing-cluster.js', import.meta.url));

interface Cluster {
  /** The two answers to an order. */
  order(what: string): Promise<unknown>;
  /** Where it listens, as its workers say. */
  readonly addresses: unknown;
}

async function start(t: TestContext, where: object, fd: number | 'ignore' = 'ignore'): Promise<Cluster> {
  const stdio = ['ignore', 'inherit', 'inherit', fd, 'ipc'] as const;
  const child: ChildProcess = fork(program, [JSON.stringify(where)], { stdio: [...stdio] });
  t.after(() => child.kill('SIGKILL'));
  const answer = async () => (await once(child, 'message'))[0];
  const addresses = await answer();
  return {
    addresses,
    order: (what) => {
      child.send(what);
      return answer();
    },
  };
}

/** Resolves to who answered, or to the error's code. */
function get(target: { port?: number; socketPath?: string }): Promise<string> {
  return ask({ ...target, path: '/' }).then(
    ({ text }) => text,
    ({ code }: NodeJS.ErrnoException) => code ?? 'error',
  );
}

/** Again and again, since each time it is another copy of the socket that is closed. */
async function pauseAndResume({ order }: Cluster, target: { port?: number; socketPath?: string }) {
  for (let round = 0; round < 12; round++) {
    assert.deepEqual(await order('pause'), [true, true]);
    let answered = 0;
    const asked = Array.from({ length: 8 }, () => get(target).finally(() => answered++));
    // Two round trips through both workers, each with its own turns of the loop.
    const before = await order('address');
    assert.deepEqual(await order('address'), before);
    assert.equal(answered, 0, 'nobody is accepted, and nobody is refused');
    assert.deepEqual(await order('resume'), ['resumed', 'resumed']);
    for (const who of await Promise.all(asked)) assert.match(who, /^\d+$/);
  }
}

describe('createAccepting', { timeout: 60_000 }, () => {
  test('who comes while all workers pause waits, and is answered when they go on', async (t) => {
    const cluster = await start(t, { port: 0, host: '127.0.0.1' });
    const [first, second] = cluster.addresses as AddressInfo[];
    assert.deepEqual(first, second);
    const port = first?.port ?? assert.fail();
    await pauseAndResume(cluster, { port });
    assert.deepEqual(await cluster.order('address'), [first, second]);
    assert.deepEqual(await cluster.order('listen twice'), ['EADDRINUSE', 'EADDRINUSE']);
    assert.deepEqual(await cluster.order('close'), ['closed', 'closed']);
    assert.equal(await get({ port }), 'ECONNREFUSED', 'the master has no copy left either');
  });

  test('a server that is closed while it pauses is closed', async (t) => {
    const cluster = await start(t, { port: 0, host: '127.0.0.1' });
    const [{ port } = assert.fail()] = cluster.addresses as AddressInfo[];
    await cluster.order('pause');
    assert.deepEqual(await cluster.order('close'), ['closed', 'closed']);
    assert.equal(await get({ port }), 'ECONNREFUSED');
    assert.deepEqual(await cluster.order('resume'), ['resumed', 'resumed']);
    assert.equal(await get({ port }), 'ECONNREFUSED');
  });

  test('a unix socket as well', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'rom-agent-pause-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const socketPath = join(directory, 'socket');
    await pauseAndResume(await start(t, { path: socketPath }), { socketPath });
  });

  test('a socket that was passed in as well', async (t) => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const cluster = await start(t, { fd: 3 }, descriptorOf(holder));
    // Its own handle would accept as well.
    holder.close();
    await pauseAndResume(cluster, { port });
  });

  test('a socket that cannot be had again is told, and what node:cluster does not share is not paused', () => {
    const lost: unknown[] = [];
    class TCP {
      onconnection = null;
      close() {}
      listen = () => 0;
    }
    let answer: [number | null, undefined] = [null, undefined];
    const giver = {
      _getServer: (_server: unknown, _query: object, reply: (...args: [number | null, undefined]) => void) =>
        reply(...answer),
    };
    const accepting = createAccepting((server) => lost.push(server), giver);
    const server = { _handle: new TCP(), once: () => {} } as unknown as Server;
    assert.equal(accepting.pause([server]), false, 'it was never asked for');
    giver._getServer(server, { port: 3000 }, () => {});
    const fake = { _handle: { close() {} }, once: () => {} } as unknown as Server;
    giver._getServer(fake, { port: 3000 }, () => {});
    assert.equal(accepting.pause([fake]), false, 'round-robin');
    assert.equal(accepting.pause([server]), true);
    answer = [-99, undefined];
    accepting.resume();
    accepting.resume();
    assert.deepEqual(lost, [server]);
  });

  test('a socket that is lost on its way is asked for again, and in the end its worker is told that it is deaf', async () => {
    const lost: unknown[] = [];
    class TCP {
      onconnection = null;
      listening = 0;
      closed = 0;
      close() {
        this.closed++;
      }
      listen = () => this.listening++;
    }
    type Reply = (error: number | null, handle: TCP | undefined) => void;
    const asked: Reply[] = [];
    const giver = { _getServer: (_server: unknown, _query: object, reply: Reply) => void asked.push(reply) };
    const accepting = createAccepting((server) => lost.push(server), giver, 5);
    const server = { _handle: new TCP(), once: () => {} };
    giver._getServer(server, { port: 3000 }, () => {});
    assert.equal(accepting.pause([server as unknown as Server]), true);
    asked.length = 0;
    accepting.resume();
    await waitFor('another attempt', () => asked.length, { until: (count) => count >= 2 });
    const [late, had] = [new TCP(), new TCP()];
    asked[1]?.(null, had);
    asked[0]?.(null, late);
    assert.equal(server._handle, had);
    assert.deepEqual([had.listening, late.listening, late.closed], [1, 0, 1], 'one of them is enough');
    assert.equal(accepting.pause([server as unknown as Server]), true);
    accepting.resume();
    await waitFor('an end of the attempts', () => lost.length);
    assert.deepEqual(lost, [server]);
  });
});
