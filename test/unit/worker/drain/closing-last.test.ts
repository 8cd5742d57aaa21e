import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { closeFull, holdConnections } from '../../../../src/worker/drain/closing.js';
import { closeListener, isAccepting } from '../../../../src/worker/node-internals/listening.js';

const skip = process.platform !== 'linux' && 'the kernel has another rule for short queues';

async function listening(t: TestContext, where: string | { host: string }) {
  const accepted: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      accepted.push(`${bytes}`);
      socket.end();
    });
  });
  server.listen(typeof where === 'string' ? { path: where } : { port: 0, ...where });
  await once(server, 'listening');
  t.after(() => server.close());
  return { server, accepted };
}

/** As in hold.ts, where nobody counts: more turns than there are connections. */
async function looks(): Promise<void> {
  for (let left = 10; left > 0; left--) await turn();
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

for (const host of ['127.0.0.1', '0.0.0.0', '::']) {
  test(`nobody gets into the queue of ${host} once it is seen to be empty`, { skip }, async (t) => {
    const { server } = await listening(t, { host });
    let outcome = '';
    await closeFull(server, {
      empty: looks,
      limit: 10_000,
      close: () => {
        const client = `const socket = require('net').connect(${portOf(server)}, '127.0.0.1');
          const say = (what) => { console.log(what); process.exit(); };
          socket.on('connect', () => say('connected')).on('error', ({ code }) => say(code));
          setTimeout(say, 200, 'neither connected nor refused');`;
        outcome = execFileSync(process.execPath, ['-e', client], { encoding: 'utf8' }).trim();
        closeListener(server);
      },
    });
    assert.equal(outcome, 'neither connected nor refused');
    assert.equal(isAccepting(server), false);
  });
}

test('whoever comes behind the look at the queue is accepted before it is closed', { skip }, async (t) => {
  const { server, accepted } = await listening(t, { host: '127.0.0.1' });
  let ended: Promise<unknown> | null = null;
  await closeFull(server, {
    limit: 10_000,
    close: closeListener,
    empty: async () => {
      if (ended !== null) return looks();
      const client = connect(portOf(server), '127.0.0.1').resume();
      ended = once(client, 'end');
      client.write('here');
      // The kernel has completed it, and nobody has accepted it.
      await new Promise<void>((resolve) => process.nextTick(resolve));
    },
  });
  assert.equal(isAccepting(server), false);
  await ended;
  assert.deepEqual(accepted, ['here']);
});

test('where that cannot be made sure the socket is closed all the same', { skip }, async (t) => {
  const { server } = await listening(t, { host: '127.0.0.1' });
  const port = portOf(server);
  await closeFull(server, {
    limit: 100,
    close: closeListener,
    empty: async () => {
      const client = connect(port, '127.0.0.1').on('error', () => {});
      t.after(() => client.destroy());
      await new Promise<void>((resolve) => process.nextTick(resolve));
    },
  });
  assert.equal(isAccepting(server), false);
});

test('a unix socket is closed as it is', async (t) => {
  const path = join(tmpdir(), `rom-agent-close-full-${process.pid}.sock`);
  const { server } = await listening(t, path);
  await closeFull(server, { empty: looks, limit: 10_000, close: closeListener });
  assert.equal(isAccepting(server), false);
});

/** Of which as many connections as the test says were accepted. */
function hold(until?: number) {
  const counts = { inFlight: 0, accepted: 0, looks: 0 };
  const count = () => {
    counts.looks++;
    return counts as never;
  };
  return { counts, ...holdConnections({ all: [], counts: count }, until) };
}

test('the queue counts as empty after a look at it that found nobody, however many there were', async () => {
  const { counts, empty } = hold();
  const accept = (): void => {
    if (counts.accepted++ < 200) setImmediate(accept);
  };
  accept();
  await empty();
  assert.ok(counts.accepted > 200, `${counts.accepted} of 200`);
});

test('clients that come at each look do not keep it from being closed', async (t) => {
  const { counts, empty } = hold();
  let over = false;
  t.after(() => {
    over = true;
  });
  const accept = (): void => {
    counts.accepted++;
    if (!over) setImmediate(accept);
  };
  accept();
  await empty();
});

test('a request that is not answered is waited for by a number of looks, however little CPU there is', async () => {
  const { counts, quiet } = hold();
  counts.inFlight = 1;
  await quiet();
  assert.ok(counts.looks >= 50, `${counts.looks} looks`);
});

test('but not beyond the time that the drain has for it', async () => {
  const { counts, quiet } = hold(performance.now());
  counts.inFlight = 1;
  await quiet();
  assert.ok(counts.looks <= 1, `${counts.looks} looks`);
});
