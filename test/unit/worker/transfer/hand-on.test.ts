import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import test from 'node:test';
import type { RawHandle } from '../../../../src/protocol/handles.js';
import { monotonic } from '../../../../src/protocol/messages.js';
import {
  attach,
  detach,
  isBetweenRequests,
  markIdle,
} from '../../../../src/worker/connections/connection-handle.js';
import { waitFor } from '../../../support/wait.js';
import { type ByteClient, openBytes, openTls } from '../byte-client.js';
import { certificate } from '../certificate.js';
import { asked, desk, echo, first, get } from './hand-on-desk.js';

const until = Number.POSITIVE_INFINITY;

/** Until the bytes that were written to a connection have been read, all of them. */
function read(socket: Socket, bytes: number): Promise<unknown> {
  return waitFor('the bytes to be read', () => socket.bytesRead, { until: (count) => count >= bytes });
}

test('a connection may go between two requests and at no other moment, on this Node', async (t) => {
  const { port, sockets } = await echo(t);
  const client = await openBytes(t, port);
  const seen: string[] = [];
  let written = 0;
  const say = async (text: string, until = ''): Promise<void> => {
    client.socket.write(text);
    written += text.length;
    await waitFor('the connection', () => sockets.length, { until: (count) => count > 0 });
    await read(first(sockets), written);
    if (until !== '') await client.until(until);
    seen.push(`${JSON.stringify(text)} ${isBetweenRequests(first(sockets)) ? 'may go' : 'stays'}`);
  };
  for (const part of ['G', 'ET /a HT', 'TP/1.1\r\nHo', 'st: a\r\n']) await say(part);
  await say('\r\n', '[/a]');
  await say('POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n');
  await say('12');
  await say('34', '[/b1234]');
  await say('POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n');
  await say('\r\n', '[/cx]');
  await say(`${get('/d')}GET /e`, '[/d]');
  await say(' HTTP/1.1\r\nHost: a\r\n\r\n', '[/e]');
  assert.deepEqual(
    seen.map((line) => line.endsWith('may go')),
    [false, false, false, false, true, false, false, true, false, true, false, true],
    seen.join('\n'),
  );
});

test('what is sent to a connection on its way is answered by who gets it', async (t) => {
  const from = await echo(t);
  const to = await echo(t);
  const client = await openBytes(t, from.port);
  client.socket.write(get('/before'));
  await client.until('[/before]');
  const socket = first(from.sockets);
  await waitFor('the end of the answer', () => isBetweenRequests(socket));
  const closed = once(socket, 'close');
  const handle = detach(socket);
  assert.ok(handle);
  client.socket.write(get('/meanwhile'));
  await closed;
  const connections = (server: Server) =>
    new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
  assert.equal(await connections(from.server), 0, 'the server that had it can end');
  attach({ server: to.server, handle, head: null, prepare: () => {} });
  await client.until('[/meanwhile]');
  assert.equal(await connections(to.server), 1);
  assert.equal(
    socket.remoteAddress,
    '127.0.0.1',
    'who logs the end of a connection still knows whose it was',
  );
  assert.equal(first(to.sockets).remotePort, client.socket.localPort);
});

test('a connection that comes is idle: neither overdue nor kept for ever', async (t) => {
  const from = await echo(t);
  // A request that does not come is overdue after this time; a kept connection has a limit of its own.
  const server = createServer({ headersTimeout: 60, requestTimeout: 60, connectionsCheckingInterval: 20 });
  const to = await echo(t, server);
  const client = await openBytes(t, from.port);
  client.socket.write(get('/before'));
  await client.until('[/before]');
  await waitFor('the end of the answer', () => isBetweenRequests(first(from.sockets)));
  const handle = detach(first(from.sockets));
  assert.ok(handle);
  const begun = performance.now();
  const socket = attach({ server, handle, head: null, prepare: () => {} }) ?? assert.fail();
  markIdle(socket, 400);
  assert.equal(isBetweenRequests(socket), true);
  assert.equal(to.sockets.length, 1);
  await once(client.socket, 'close');
  assert.ok(performance.now() - begun >= 400, 'not before what was left of its time');
  assert.doesNotMatch(client.text, /408/);
});

test('a handed-over connection is closed with the idle ones', async (t) => {
  const from = await echo(t);
  const to = await echo(t);
  const client = await openBytes(t, from.port);
  client.socket.write(get('/'));
  await client.until('[/]');
  await waitFor('the end of the answer', () => isBetweenRequests(first(from.sockets)));
  const handle = detach(first(from.sockets));
  assert.ok(handle);
  markIdle(attach({ server: to.server, handle, head: null, prepare: () => {} }) ?? assert.fail(), 5_000);
  to.server.closeIdleConnections();
  await once(client.socket, 'close');
});

test('connections count that were answered and kept', async (t) => {
  const place = await echo(t);
  const { handOn, changes } = desk(place, true);
  await openBytes(t, place.port);
  await asked(t, place.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  await asked(t, place.port, 'GET / HTTP/1.0\r\n\r\n');
  assert.equal(handOn.kept(), 0);
  const kept = [await asked(t, place.port, get('/')), await asked(t, place.port, get('/'))];
  await waitFor('the count', () => handOn.kept(), { until: (count) => count === 2 });
  for (const client of kept) client.socket.destroy();
  await waitFor('the count to fall', () => handOn.kept(), { until: (count) => count === 0 });
  await waitFor('a report of the change', changes, { until: (count) => count > 0 });
});

test('TLS stays where it is', async (t) => {
  const place = await echo(t, createHttpsServer(await certificate()) as unknown as Server);
  const { handOn } = desk(place, true);
  const client = await openTls(t, place.port);
  client.socket.write(get('/'));
  await client.until('[/]');
  assert.equal(handOn.kept(), 0);
});

function withoutSilence(message: object): object {
  return Object.fromEntries(Object.entries(message).filter(([key]) => key !== 'silence' && key !== 'id'));
}

test('how long a connection may still be silent goes along with it', async (t) => {
  const server = createServer();
  server.keepAliveTimeout = 20_000;
  const place = await echo(t, server);
  const { sent, handOn } = desk(place, true);
  await asked(t, place.port, get('/'));
  const answered = performance.now();
  const socket = first(place.sockets);
  await waitFor('some of the time to pass', () => performance.now() - answered, { until: (ms) => ms > 300 });
  const { timeout = 0 } = socket;
  handOn.order({ type: 'even-out', to: 9, count: 1 });
  await waitFor('the connection to go', () => sent.length);
  const [message] = sent;
  assert.ok(message?.type === 'hand-on' && message.silence !== null);
  // Timers count in the loop's time, which may be some ms behind.
  assert.ok(message.silence <= timeout - 250, `${message.silence} of ${timeout}`);
  assert.ok(message.silence >= timeout - (performance.now() - answered) - 50);
});

test('a connection without a limit has none afterwards', async (t) => {
  const server = createServer();
  server.keepAliveTimeout = 0;
  const place = await echo(t, server);
  const { sent, handOn } = desk(place, true);
  await asked(t, place.port, get('/'));
  handOn.order({ type: 'even-out', to: 9, count: 1 });
  await waitFor('the connection to go', () => sent.length);
  assert.equal(sent[0]?.type === 'hand-on' && sent[0].silence, null);
});

test('a connection that was let go of knows at its end how much was read and written', async (t) => {
  const place = await echo(t);
  await asked(t, place.port, get('/'));
  const socket = first(place.sockets);
  await waitFor('the end of the answer', () => isBetweenRequests(socket));
  const { bytesRead, bytesWritten } = socket;
  const closed = once(socket, 'close');
  detach(socket)?.close();
  await closed;
  assert.ok(bytesRead > 0 && bytesWritten > 0);
  assert.deepEqual([socket.bytesRead, socket.bytesWritten], [bytesRead, bytesWritten]);
});

test('a server that has closed is no longer there for connections', async (t) => {
  const place = await echo(t);
  const { sent, handOn } = desk(place, true);
  const name = `127.0.0.1|${place.port}`;
  place.server.close();
  await once(place.server, 'close');
  let closed = 0;
  const handle: RawHandle = { close: () => void closed++, readStop: () => 0 };
  handOn.take(
    { type: 'take', id: 4, from: 2, server: name, hops: 0, head: null, silence: null, until },
    handle,
  );
  await waitFor('the copy to be closed', () => closed);
  assert.equal(sent[1]?.type, 'hand-on');
});

test('an order is carried out, and not beyond its number', async (t) => {
  const place = await echo(t);
  const { sent, handOn } = desk(place, true);
  for (let count = 0; count < 4; count++) await asked(t, place.port, get('/'));
  await waitFor('the count', () => handOn.kept(), { until: (count) => count === 4 });
  handOn.order({ type: 'even-out', to: 9, count: 3 });
  await waitFor('the connections to go', () => handOn.kept(), { until: (count) => count === 1 });
  const name = `127.0.0.1|${place.port}`;
  const message = { type: 'hand-on', to: 9, slot: null, server: name, hops: 0, head: null };
  assert.deepEqual(sent.map(withoutSilence), [message, message, message]);
});

test('a connection that the master does not get is served on', async (t) => {
  const place = await echo(t);
  const { handOn } = desk(place, false);
  const client = await asked(t, place.port, get('/'));
  await waitFor('the count', () => handOn.kept(), { until: (count) => count === 1 });
  handOn.order({ type: 'even-out', to: 9, count: 1 });
  await waitFor('the attempt', () => place.sockets.length, { until: (count) => count > 1 });
  client.socket.write(get('/again'));
  await client.until('[/again]');
});

test('a connection that is lost on its way to the master is served on', async (t) => {
  const place = await echo(t);
  const { handOn, sent } = desk(place, 'lost');
  const client = await asked(t, place.port, get('/'));
  await waitFor('the count', () => handOn.kept(), { until: (count) => count === 1 });
  handOn.order({ type: 'even-out', to: 9, count: 1 });
  await waitFor('the attempt', () => sent.length);
  client.socket.write(get('/again'));
  await client.until('[/again]');
});

test('a connection that a master took with it to its end is served on', async (t) => {
  const place = await echo(t);
  const { handOn, sent, loseMaster } = desk(place, 'unanswered');
  const client = await asked(t, place.port, get('/'));
  await waitFor('the count', () => handOn.kept(), { until: (count) => count === 1 });
  handOn.order({ type: 'even-out', to: 9, count: 1 });
  await waitFor('the attempt', () => sent.length);
  client.socket.write(get('/again'));
  loseMaster();
  await client.until('[/again]');
});

test('what a worker is given without the connection, or too late, it does not take', async (t) => {
  const place = await echo(t);
  const { sent, handOn } = desk(place, true);
  const message = { from: 2, server: `127.0.0.1|${place.port}`, hops: 0, head: null, silence: null } as const;
  handOn.take({ type: 'take', id: 4, until, ...message }, undefined);
  let closed = 0;
  const handle: RawHandle = { close: () => void closed++, readStop: () => 0 };
  handOn.take({ type: 'take', id: 5, until: monotonic() - 1, ...message }, handle);
  assert.deepEqual(sent, [
    { type: 'taken', id: 4, outcome: 'lost' },
    { type: 'taken', id: 5, outcome: 'late' },
  ]);
  assert.equal(closed, 1, 'another worker has it');
});

test('a connection for a server that is not here goes back', async (t) => {
  const { sent, handOn } = desk(await echo(t), true);
  let closed = 0;
  const handle: RawHandle = { close: () => void closed++, readStop: () => 0 };
  handOn.take(
    { type: 'take', id: 4, from: 2, server: 'elsewhere', hops: 0, head: null, silence: null, until },
    handle,
  );
  await waitFor('the copy to be closed', () => closed);
  assert.deepEqual(sent, [
    { type: 'taken', id: 4, outcome: 'read' },
    { type: 'hand-on', id: 1, to: 2, slot: null, server: 'elsewhere', hops: 1, head: null, silence: null },
  ]);
});

test('an idle connection leaves a worker that ends for the one that has its slot next', async (t) => {
  const from = await echo(t);
  const { handOn, sent } = desk(from, true);
  const clients = await Promise.all(['/a', '/b'].map((path) => asked(t, from.port, get(path))));
  const [idle, asking] = from.sockets;
  assert.ok(idle && asking && clients[1]);
  await waitFor('both to be idle', () => [idle, asking].every(isBetweenRequests));
  clients[1].socket.write('GET /half');
  await read(asking, get('/b').length + '/half'.length);
  assert.deepEqual([handOn.leave(idle, 2), handOn.leave(asking, 2), handOn.underWay()], [true, false, 1]);
  await waitFor('the master to have it', () => handOn.underWay() === 0);
  const [{ to, slot, head } = assert.fail(), ...others] = sent.filter(({ type }) => type === 'hand-on') as {
    to: unknown;
    slot: unknown;
    head: unknown;
  }[];
  assert.deepEqual([to, slot, head, others], [null, 2, null, []]);
});

test('one that nobody else takes comes back, is answered, and does not leave again', async (t) => {
  const from = await echo(t);
  const { handOn } = desk(from, 'lost');
  const client = await asked(t, from.port, get('/a'));
  await waitFor('it to be idle', () => isBetweenRequests(first(from.sockets)));
  assert.equal(handOn.leave(first(from.sockets), 1), true);
  await waitFor('it to be back', () => from.sockets.length === 2);
  assert.equal(handOn.leave(from.sockets[1] ?? assert.fail(), 1), false);
  client.socket.write(get('/back'));
  await client.until('[/back]');
});

test('more than may be under way at once leave one after the other', async (t) => {
  const from = await echo(t);
  const { handOn, sent } = desk(from, true);
  await Promise.all(Array.from({ length: 12 }, (_, at) => asked(t, from.port, get(`/${at}`))));
  await waitFor('all to be idle', () => from.sockets.every(isBetweenRequests));
  for (const socket of from.sockets) assert.equal(handOn.leave(socket, 1), true);
  assert.ok(handOn.underWay() < 12);
  await waitFor('all to be gone', () => sent.filter(({ type }) => type === 'hand-on').length === 12);
});

test('bytes that were read already come before those that follow', async (t) => {
  const to = await echo(t);
  const relay = await echo(t);
  relay.server.removeAllListeners('connection');
  const accepted = once(relay.server, 'connection');
  const client = connect(relay.port, '127.0.0.1');
  t.after(() => client.destroy());
  const [socket] = (await accepted) as [Socket];
  const text = 'POST /head HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab';
  client.write(text);
  const [head] = (await once(socket, 'data')) as [Buffer];
  const handle = detach(socket);
  assert.ok(handle);
  client.write('cdef');
  attach({ server: to.server, handle, head, prepare: () => {} });
  const answer = await once(client, 'data');
  assert.match(String(answer), /\[\/headabcdef\]/);
});

test('a connection that was handed on has its properties in the order of one that was accepted', async (t) => {
  const { server, port, sockets } = await echo(t);
  const [accepted, moved] = [await openBytes(t, port), await openBytes(t, port)];
  const ask = async (client: ByteClient, path: string) => {
    client.socket.write(get(path));
    await client.until(`[${path}]`);
  };
  await ask(accepted, '/a');
  await ask(moved, '/b');
  const old = sockets[1] ?? assert.fail();
  await waitFor('the end of the answer', () => isBetweenRequests(old));
  const handle = detach(old) ?? assert.fail();
  markIdle(attach({ server, handle, head: null, prepare: () => {} }) ?? assert.fail(), 5_000);
  await ask(moved, '/c');
  const [stayed, , arrived] = sockets.map((socket) => Reflect.ownKeys(socket));
  assert.deepEqual(arrived, stayed);
});
