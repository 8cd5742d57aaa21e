import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createServer as createNetServer, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { isBetweenRequests } from '../../../../src/worker/connections/connection-handle.js';
import { ours } from '../../../../src/worker/connections/follow-server.js';
import { hasForeignListeners, hasOwnConnections } from '../../../../src/worker/transfer/moving.js';
import { waitFor } from '../../../support/wait.js';
import { type ByteClient, openBytes } from '../byte-client.js';
import { type Desk, desk, type Echo, echo, first, get } from './hand-on-desk.js';

interface Place extends Echo, Desk {
  readonly client: ByteClient;
  /** Sends it, and waits until it is read and `until` has come back. */
  say(text: string, until?: string): Promise<void>;
  /** An order to move, and whether the connection went. */
  goes(): Promise<boolean>;
}

/** A connection to a server whose requests are answered by `answer`, or else with their path and body. */
async function place(t: TestContext, server: Server = createServer()): Promise<Place> {
  const at = await echo(t, server);
  const it = desk(at, true);
  const client = await openBytes(t, at.port);
  let written = 0;
  return {
    ...at,
    ...it,
    client,
    say: async (text, until = '') => {
      client.socket.write(text);
      written += text.length;
      await waitFor('the bytes to be read', () => at.sockets[0]?.bytesRead, {
        until: (count) => count === written,
      });
      if (until !== '') await client.until(until);
    },
    goes: async () => {
      const other = await openBytes(t, at.port);
      other.socket.write(get('/other'));
      await other.until('[/other]');
      const there = at.sockets.at(-1);
      await waitFor('the other to be kept', () => there !== undefined && isBetweenRequests(there));
      // The other is looked at after the first, and may go: that is the sign.
      it.handOn.order({ type: 'even-out', to: 9, count: 2 });
      await waitFor('the order to be carried out', () => there?.destroyed);
      return first(at.sockets).destroyed;
    },
  };
}

const upgrade = (line: string, rest = ''): string =>
  `${line} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n${rest}\r\n`;

/** Answers before the body is there. */
function early(server: Server): Server {
  return server.on('request', (request, response) => {
    if (request.url === '/early') response.end('[/early]');
  });
}

describe('a connection stays', () => {
  test('in the middle of a body behind an upgrade that nobody took', async (t) => {
    const { say, sockets, goes } = await place(t, early(createServer()));
    await say(`${upgrade('POST /early', 'Content-Length: 59\r\n')}first`, '[/early]');
    assert.equal(isBetweenRequests(first(sockets)), false);
    assert.equal(await goes(), false);
  });

  test('in the middle of a head behind an upgrade that nobody took', async (t) => {
    const { say, sockets } = await place(t);
    await say(upgrade('GET /a'), '[/a]');
    await say('GET /b HTTP/1.1\r\nHo');
    assert.equal(isBetweenRequests(first(sockets)), false);
  });

  test('behind an upgrade that nobody took, until the next request', async (t) => {
    const { say, sockets, goes, handOn } = await place(t);
    await say(upgrade('GET /a'), '[/a]');
    assert.equal(await goes(), false);
    await say(get('/b'), '[/b]');
    handOn.order({ type: 'even-out', to: 9, count: 1 });
    await waitFor('it to go', () => first(sockets).destroyed);
  });

  test('behind a body that was not all sent, though it was answered', async (t) => {
    const { say, sockets, goes } = await place(t, early(createServer()));
    await say('POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc', '[/early]');
    assert.equal(isBetweenRequests(first(sockets)), false);
    assert.equal(await goes(), false);
  });

  test('behind a body that the app has not read', async (t) => {
    const server = createServer();
    const { say, sockets } = await place(
      t,
      server.prependListener('request', (request, response) => {
        if (request.url !== '/unread') return;
        request.once('readable', () => response.end('[/unread]'));
        response.once('finish', () => request.pause());
      }),
    );
    await say('POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc', '[/unread]');
    assert.equal(isBetweenRequests(first(sockets)), false);
  });

  test('after a request that could not be read, until the app has answered that', async (t) => {
    const server = createServer();
    const { say, sockets, goes, client } = await place(t, server);
    const answers: (() => void)[] = [];
    server.on('clientError', (_error, socket) => {
      answers.push(() => socket.end('HTTP/1.1 400 Late\r\nConnection: close\r\n\r\n'));
    });
    await say(get('/a'), '[/a]');
    await say('POST /b HTTP/1.1\r\nX Bad: 1\r\nContent-Length: 60\r\n\r\n');
    await waitFor('the error', () => answers.length, { until: (count) => count === 1 });
    assert.equal(isBetweenRequests(first(sockets)), false);
    assert.equal(await goes(), false);
    for (const answer of answers) answer();
    await client.until('400 Late');
  });

  test('after a request that was to be the last, even if the app says that it is not', async (t) => {
    const { say, goes } = await place(
      t,
      createServer((_request, response) => response.setHeader('Connection', 'keep-alive')),
    );
    await say('GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', '[/a]');
    assert.equal(await goes(), false);
  });

  test('where its requests are counted', async (t) => {
    const server = createServer();
    server.maxRequestsPerSocket = 3;
    const { say, sockets, handOn, sent, client } = await place(t, server);
    await say(get('/a'), '[/a]');
    handOn.order({ type: 'even-out', to: 9, count: 1 });
    await say(get('/b'), '[/b]');
    await say(get('/c'), '[/c]');
    await client.ended();
    assert.deepEqual([sent, sockets.length], [[], 1]);
  });

  test('where the app listens for what happens to it', async (t) => {
    const { say, sockets, goes, handOn } = await place(t);
    await say(get('/a'), '[/a]');
    const listener = (): void => {};
    first(sockets).on('close', listener);
    assert.equal(await goes(), false);
    first(sockets).off('close', listener);
    handOn.order({ type: 'even-out', to: 9, count: 1 });
    await waitFor('it to go', () => first(sockets).destroyed);
  });
});

describe('whose listeners there are', () => {
  test('Node is known on a connection that was accepted, answered and kept', async (t) => {
    const { say, sockets } = await place(t);
    await say(get('/a'), '[/a]');
    assert.equal(hasForeignListeners(first(sockets)), false);
    first(sockets).on(
      'close',
      ours(() => {}),
    );
    assert.equal(hasForeignListeners(first(sockets)), false);
    first(sockets).once('error', () => {});
    assert.equal(hasForeignListeners(first(sockets)), true);
  });

  test('an app is seen that hears of the connections of its server, or comes before node:http', () => {
    const server = createServer();
    assert.equal(hasOwnConnections(server), false);
    server.on(
      'connection',
      ours(() => {}),
    );
    assert.equal(hasOwnConnections(server), false);
    const listener = (): void => {};
    server.on('connection', listener);
    assert.equal(hasOwnConnections(server), true);
    server.removeAllListeners('connection');
    assert.equal(hasOwnConnections(server), true);
  });

  test('a connection that the app hands to its HTTP server stays', async (t) => {
    const { server, sockets, ...it } = await place(t);
    const door = createNetServer((socket: Socket) => void server.emit('connection', socket));
    door.listen(0, '127.0.0.1');
    await once(door, 'listening');
    t.after(() => door.close());
    const { port } = door.address() as { port: number };
    const client = await openBytes(t, port);
    client.socket.write(get('/a'));
    await client.until('[/a]');
    await it.say(get('/b'), '[/b]');
    await waitFor('one kept connection', () => it.handOn.kept(), { until: (count) => count === 1 });
    assert.equal(sockets.length, 2);
  });
});
