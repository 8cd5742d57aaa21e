import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import {
  type Frames,
  followFrames,
  followWebSocket,
  type WebSocketEnd,
} from '../../../../src/worker/connections/websocket.js';

const answer = 'HTTP/1.1 101 Switching Protocols\r\n\r\n';
const hello = Buffer.from([0x81, 0x05, ...Buffer.from('hello')]);
const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9]);
const close = Buffer.from([0x88, 0x02, 0x03, 0xe8]);

interface Followed {
  readonly socket: Duplex;
  readonly end: WebSocketEnd;
  /** What has gone out. */
  written(): Buffer;
}

/** A connection whose bytes are kept. */
function connection(): Followed {
  const chunks: Buffer[] = [];
  const socket = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(chunk);
      done();
    },
  });
  return { socket, end: followWebSocket(socket), written: () => Buffer.concat(chunks) };
}

function answered(): Followed {
  const all = connection();
  all.socket.write(answer);
  return all;
}

const after = (...frames: Uint8Array[]) => Buffer.concat([Buffer.from(answer), ...frames]);

test('between two frames the Close frame goes at once, and nothing follows it', async () => {
  const { socket, end, written } = answered();
  socket.write(hello);
  assert.equal(end.goAway(), true);
  assert.equal(end.goAway(), true);
  assert.deepEqual(written(), after(hello, goingAway));
  const done = await new Promise((resolve) => assert.equal(socket.write(close, resolve), true));
  assert.equal(done, undefined, 'whoever waits for the write is called');
  const finished = once(socket, 'finish');
  socket.end(close);
  await finished;
  assert.deepEqual(written(), after(hello, goingAway));
});

test('within a frame it waits for the end of that frame, and the rest of the chunk is dropped', async () => {
  const { socket, end, written } = answered();
  socket.write(hello.subarray(0, 3));
  assert.equal(end.goAway(), true);
  assert.deepEqual(written(), after(hello.subarray(0, 3)));
  await new Promise((resolve) => socket.write(Buffer.concat([hello.subarray(3), hello]), resolve));
  assert.deepEqual(written(), after(hello, goingAway));
});

test('before the answer to the upgrade there is nothing to close', () => {
  const { socket, end, written } = connection();
  assert.equal(end.goAway(), false);
  socket.write(answer);
  assert.equal(end.goAway(), true);
  assert.deepEqual(written(), after(goingAway));
});

test('an app that has closed itself, or has refused the upgrade, is left alone', () => {
  const closed = answered();
  closed.socket.write(close);
  closed.end.goAway();
  closed.socket.write(hello);
  assert.deepEqual(closed.written(), after(close, hello));
  const refused = connection();
  refused.socket.write('HTTP/1.1 426 Upgrade Required\r\n\r\n');
  refused.end.goAway();
  assert.equal(refused.written().indexOf(goingAway), -1);
});

test('the app sees nothing of it on its socket, but the function', () => {
  const { socket } = answered();
  assert.equal(Object.keys(socket).includes('write'), false);
  assert.throws(() => socket.write(5), { code: 'ERR_INVALID_ARG_TYPE' });
});

interface Library {
  readonly client: WebSocket;
  readonly onServer: WebSocket;
  readonly socket: Socket;
  readonly end: WebSocketEnd;
}

/** A WebSocket of the ws package; `prepare` may change its socket before the package has it. */
async function library(t: TestContext, prepare = (_socket: Socket): void => {}): Promise<Library> {
  const server = createServer().listen(0, '127.0.0.1');
  const sockets = new WebSocketServer({ noServer: true });
  t.after(() => {
    for (const client of sockets.clients) client.terminate();
    server.close();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new WebSocket(`ws://127.0.0.1:${port}`);
  const [request, socket, head] = (await once(server, 'upgrade')) as [IncomingMessage, Socket, Buffer];
  prepare(socket);
  const end = followWebSocket(socket);
  const onServer = await new Promise<WebSocket>((resolve) =>
    sockets.handleUpgrade(request, socket, head, resolve),
  );
  await once(client, 'open');
  return { client, onServer, socket, end };
}

test('a WebSocket of ws is closed by ws, which answers nothing to the answer', async (t) => {
  const { client, onServer, socket, end } = await library(t);
  onServer.send('hello');
  await once(client, 'message');
  assert.equal(Object.hasOwn(socket, 'write'), false, 'and is not followed any more');
  assert.equal(end.goAway(), true);
  const [[code], [codeOnServer]] = await Promise.all([once(client, 'close'), once(onServer, 'close')]);
  assert.deepEqual([code, codeOnServer], [1001, 1001]);
});

test('one that ws is closing already is left to it', async (t) => {
  const { client, onServer, end } = await library(t);
  onServer.close(1000);
  assert.equal(end.goAway(), true);
  const [code] = await once(client, 'close');
  assert.equal(code, 1000);
});

test('what others have put on the socket stays', async (t) => {
  const writes: unknown[] = [];
  const { client, onServer, socket } = await library(t, (raw) => {
    const { write } = raw;
    raw.write = (...given: unknown[]) => {
      writes.push(given[0]);
      return Reflect.apply(write, raw, given);
    };
  });
  const theirs = writes.length;
  onServer.send('hello');
  await once(client, 'message');
  assert.ok(Object.hasOwn(socket, 'write'));
  assert.ok(writes.length > theirs);
});

const upgraded = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n');

/** A frame of a server: opcode, and a payload of so many bytes, all of which look like the beginning of a Close frame. */
function frame(opcode: number, length: number): Buffer {
  const payload = Buffer.alloc(length, 0x88);
  if (length < 126) return Buffer.concat([Buffer.from([0x80 | opcode, length]), payload]);
  const long = length > 0xffff;
  const head = Buffer.alloc(long ? 10 : 4);
  head.set([0x80 | opcode, long ? 127 : 126]);
  if (long) head.writeBigUInt64BE(BigInt(length), 2);
  else head.writeUInt16BE(length, 2);
  return Buffer.concat([head, payload]);
}

function open(): Frames {
  const frames = followFrames();
  frames.follow(upgraded);
  return frames;
}

test('a place between frames is behind the answer to the upgrade and behind each frame, of any length', () => {
  for (const length of [0, 1, 125, 126, 65_535, 65_536]) {
    const frames = open();
    assert.equal(frames.isBetween(), true);
    const bytes = frame(2, length);
    assert.equal(frames.follow(bytes.subarray(0, -1)), null, `${length}`);
    assert.deepEqual([frames.isBetween(), frames.isOpen()], [false, true]);
    assert.equal(frames.follow(bytes.subarray(-1)), 1);
    assert.equal(frames.isBetween(), true);
  }
});

test('it is found byte by byte as well, and the first one of several is named', () => {
  const frames = followFrames();
  const stream = Buffer.concat([upgraded, frame(1, 3), frame(2, 300)]);
  const ends = [upgraded.length, upgraded.length + 5, stream.length];
  for (const [index] of stream.entries()) {
    const found = frames.follow(stream.subarray(index, index + 1));
    assert.equal(found, ends.includes(index + 1) ? 1 : null, `byte ${index}`);
  }
  assert.equal(open().follow(Buffer.concat([frame(1, 3), frame(1, 4)])), 5);
  assert.equal(followFrames().follow(Buffer.concat([upgraded, frame(1, 3)])), upgraded.length);
});

test('a masked frame is followed with its mask', () => {
  const frames = open();
  const bytes = Buffer.from([0x81, 0x82, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual([frames.follow(bytes.subarray(0, 7)), frames.follow(bytes.subarray(7))], [null, 1]);
});

test('there is no such place behind a Close frame', () => {
  const frames = open();
  assert.equal(frames.follow(Buffer.concat([frame(1, 2), frame(8, 2), frame(1, 2)])), 4);
  assert.deepEqual([frames.isBetween(), frames.isOpen()], [false, false]);
});

test('nor where the upgrade is not answered with 101, or the beginning was missed', () => {
  for (const text of ['HTTP/1.1 400 Bad Request\r\n\r\n', 'HTTP/1.1 1', 'hello', '\x81\x01x']) {
    const frames = followFrames();
    assert.equal(frames.follow(Buffer.from(text, 'latin1')), null);
    assert.deepEqual([frames.isBetween(), frames.isOpen()], [false, false], text);
  }
});
