import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, Server } from 'node:net';
import { constants } from 'node:os';
import { describe, type TestContext, test } from 'node:test';
import { exitCodes, RomAgentError } from '../../../../src/errors.js';
import type { Dispatch } from '../../../../src/settings/config.js';
import {
  holdListeners,
  type ListenCallsSeam,
  redirectListens,
} from '../../../../src/worker/app/listen-calls.js';
import { redirectToPassed } from '../../../../src/worker/app/target.js';
import {
  type ListenQuery,
  type ListenReply,
  listenHandleOf,
} from '../../../../src/worker/node-internals/listening.js';

/** Fakes of node:cluster and net.Server: what the master is asked for, and what a server listens with in the end. */
function fakes(dispatch: Dispatch = 'shared', wait: Pick<ListenCallsSeam, 'listenWait' | 'onWait'> = {}) {
  const asked: ListenQuery[] = [];
  const listened: unknown[][] = [];
  const takenOver: Server[] = [];
  const giver = {
    _getServer(_server: object, query: ListenQuery, reply: ListenReply): void {
      asked.push(query);
      replies.push(reply);
    },
  };
  const replies: ListenReply[] = [];
  const prototype = {
    _listen2(this: Server, ...args: unknown[]): void {
      listened.push(args);
    },
  };
  const calls = redirectListens({
    dispatch,
    giver,
    prototype,
    onTakenOver: (server) => takenOver.push(server),
    ...wait,
  });
  return {
    asked,
    listened,
    replies,
    takenOver,
    giver,
    calls,
    listenNow: (server: Server, ...args: unknown[]) => Reflect.apply(prototype._listen2, server, args),
  };
}

const tcp = (port: number) => ({ address: null, port, addressType: 4, backlog: 511, flags: 0 });
const handle = () => ({ onconnection: undefined, close() {}, listen: () => 0 });

async function open(t: TestContext): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.listening && server.close());
  return { server, port: (server.address() as { port: number }).port };
}

test('a server that means a passed socket asks for its descriptor, under any port', () => {
  const { asked, replies, giver } = fakes();
  const server = createServer();
  const sockets = [{ fd: 3, name: 'http', port: 80, path: null }];
  redirectToPassed({ server, options: { port: 3000 } }, { kind: 'fds', sockets, port: 3000 });
  let found: unknown;
  giver._getServer(server, tcp(3000), (_error, got) => {
    const out: Record<string, unknown> = {};
    got?.getsockname?.(out);
    // As net.js checks that it got the port which it has asked for.
    found = out;
  });
  assert.deepEqual(asked, [{ address: null, port: null, addressType: null, fd: 3, backlog: 511 }]);
  const socket = {
    ...handle(),
    getsockname: (out: Record<string, unknown>) => {
      Object.assign(out, { address: '127.0.0.1', port: 80 });
      return 0;
    },
  };
  replies[0]?.(0, socket);
  assert.deepEqual(found, { address: '127.0.0.1', port: 3000 });
  const out: Record<string, unknown> = {};
  socket.getsockname(out);
  assert.equal(out.port, 80, 'afterwards it says what it is');
});

test('one that wants the address for itself shares it with its siblings all the same', () => {
  const { asked, listened, replies, listenNow } = fakes();
  const server = createServer();
  listenNow(server, '127.0.0.1', 3000, 4, 511, undefined, 0);
  assert.deepEqual(asked, [
    { address: '127.0.0.1', port: 3000, addressType: 4, backlog: 511, fd: undefined, flags: 0 },
  ]);
  assert.deepEqual(listened, []);
  const given = handle();
  replies[0]?.(0, given);
  assert.equal(listenHandleOf(server), given);
  assert.deepEqual(listened, [['127.0.0.1', 3000, 4, 511, undefined, 0]]);
});

test('it fails as net.Server does where the address is in use', () => {
  const { replies, listenNow } = fakes();
  const server = createServer();
  const errors: NodeJS.ErrnoException[] = [];
  server.on('error', (error) => errors.push(error));
  listenNow(server, null, 3000, 4, undefined, undefined, 0);
  replies[0]?.(-98, undefined);
  assert.match(errors[0]?.message ?? '', /^bind EADDRINUSE :::3000$/);
  assert.equal(errors[0]?.syscall, 'bind');
});

describe('a port that another process has', () => {
  function waiting(t: TestContext, listenWait: number) {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let now = 0;
    t.mock.method(performance, 'now', () => now);
    const waits: number[] = [];
    const fake = fakes('shared', { listenWait, onWait: (port) => waits.push(port) });
    const pass = (ms: number): void => {
      now += ms;
      t.mock.timers.tick(ms);
    };
    return { ...fake, waits, pass };
  }
  const inUse = -constants.errno.EADDRINUSE;

  test('is asked for again until the master has it, and the app hears nothing meanwhile', (t) => {
    const { asked, replies, giver, waits, calls, pass } = waiting(t, 1_000);
    const told: unknown[] = [];
    giver._getServer(createServer(), tcp(3000), (error, given) => told.push([error, given]));
    replies[0]?.(inUse, undefined);
    pass(20);
    replies[1]?.(inUse, undefined);
    assert.deepEqual([told, waits], [[], [3000]]);
    pass(20);
    const given = handle();
    replies[2]?.(null, given as never);
    assert.deepEqual(told, [[null, given]]);
    assert.deepEqual([asked.length, calls.waited()], [3, 40]);
  });

  test('is in use once the limit is over, for all ports together', (t) => {
    const { asked, replies, giver, pass } = waiting(t, 30);
    const told: unknown[] = [];
    giver._getServer(createServer(), tcp(3000), (error) => told.push(error));
    replies[0]?.(inUse, undefined);
    pass(20);
    replies[1]?.(inUse, undefined);
    pass(20);
    replies[2]?.(inUse, undefined);
    assert.deepEqual([told, asked.length], [[inUse], 3]);
    giver._getServer(createServer(), tcp(3001), (error) => told.push(error));
    replies[3]?.(inUse, undefined);
    assert.deepEqual(told, [inUse, inUse]);
  });

  test('is not waited for unless the setting says so, nor for another error, nor where it is no port', (t) => {
    const none = fakes();
    const told: unknown[] = [];
    none.giver._getServer(createServer(), tcp(3000), (error) => told.push(error));
    none.replies[0]?.(inUse, undefined);
    const { replies, giver, waits } = waiting(t, 1_000);
    giver._getServer(createServer(), tcp(80), (error) => told.push(error));
    replies[0]?.(-13, undefined);
    const path = { address: '/run/app.sock', port: -1, addressType: -1 };
    giver._getServer(createServer(), path, (error) => told.push(error));
    replies[1]?.(inUse, undefined);
    assert.deepEqual([told, waits], [[inUse, -13, inUse], []]);
  });
});

test('a free port, a descriptor and what the app shares itself are left alone', () => {
  const { asked, listened, listenNow } = fakes();
  listenNow(createServer(), null, 0, 4, undefined, undefined, 0);
  listenNow(createServer(), null, null, null, undefined, 9, 0);
  listenNow(createServer(), null, 3000, 4, undefined, undefined, 2);
  assert.deepEqual([asked.length, listened.length], [0, 3]);
});

test('with reuseport each worker has a socket of its own', () => {
  const { asked, listened, giver } = fakes('reuseport');
  giver._getServer(createServer(), { ...tcp(3000), flags: 1 }, () => {});
  giver._getServer(createServer(), { address: '/run/app.sock', port: -1, addressType: -1 }, () => {});
  assert.deepEqual(listened, [[null, 3000, 4, 511, undefined, 3]]);
  assert.deepEqual(asked, [{ address: '/run/app.sock', port: -1, addressType: -1 }]);
});

test('an app that comes late gets the socket that was opened for it, and nothing is closed meanwhile', async (t) => {
  const { asked, takenOver, giver, calls } = fakes();
  const { server: ours, port } = await open(t);
  const lent = listenHandleOf(ours);
  calls.lend(ours);
  const theirs = createServer();
  const [error, given] = await new Promise<Parameters<ListenReply>>((resolve) =>
    giver._getServer(theirs, tcp(port), (...reply) => resolve(reply)),
  );
  assert.deepEqual([error, given === lent, asked], [0, true, []]);
  assert.equal(ours.listening, false);
  await new Promise(setImmediate);
  assert.deepEqual(takenOver, [theirs]);
  lent?.close();
});

test('another port than that of the opened socket is asked for as ever', async (t) => {
  const { asked, giver, calls } = fakes();
  const { server: ours, port } = await open(t);
  calls.lend(ours);
  giver._getServer(createServer(), tcp(port + 1), () => {});
  assert.equal(asked.length, 1);
  assert.ok(ours.listening);
});

test('a Node that asks in another way is left as it is', () => {
  const giver = {};
  redirectListens({ dispatch: 'shared', giver, prototype: {}, onTakenOver: () => {} }).lend(new Server());
  assert.deepEqual(giver, {});
});

function simulatedCluster() {
  const asked: unknown[][] = [];
  const giver = {
    name: 'cluster',
    _getServer(this: { name: string }, ...args: unknown[]) {
      asked.push([this.name, ...args]);
    },
  };
  return { asked, giver };
}

describe('holdListeners', () => {
  test('what an app listens on is not asked of the master before the spare is promoted, and then as it was', async () => {
    const { asked, giver } = simulatedCluster();
    const listeners = holdListeners(giver);
    giver._getServer('server', { port: 3000 });
    giver._getServer('another', { port: 3001 });
    await listeners.held;
    assert.deepEqual(asked, []);
    listeners.open();
    assert.deepEqual(asked, [
      ['cluster', 'server', { port: 3000 }],
      ['cluster', 'another', { port: 3001 }],
    ]);
  });

  test('what listens after the promotion is not held any more', () => {
    const { asked, giver } = simulatedCluster();
    holdListeners(giver).open();
    giver._getServer('late', { port: 3002 });
    assert.deepEqual(asked, [['cluster', 'late', { port: 3002 }]]);
  });

  test('a Node that asks in another way cannot have spares, and says so', () => {
    assert.throws(
      () => holdListeners({}),
      (error: unknown) =>
        error instanceof RomAgentError &&
        error.exitCode === exitCodes.noResources &&
        error.message ===
          `spares: Node ${process.versions.node} has no way to hold back listeners; expected spares = 0`,
    );
  });
});
