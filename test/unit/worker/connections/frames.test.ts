import assert from 'node:assert/strict';
import test from 'node:test';
import { type Frames, followFrames } from '../../../../src/worker/connections/websocket.js';

const answer = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n');

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
  frames.follow(answer);
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
  const stream = Buffer.concat([answer, frame(1, 3), frame(2, 300)]);
  const ends = [answer.length, answer.length + 5, stream.length];
  for (const [index] of stream.entries()) {
    const found = frames.follow(stream.subarray(index, index + 1));
    assert.equal(found, ends.includes(index + 1) ? 1 : null, `byte ${index}`);
  }
  assert.equal(open().follow(Buffer.concat([frame(1, 3), frame(1, 4)])), 5);
  assert.equal(followFrames().follow(Buffer.concat([answer, frame(1, 3)])), answer.length);
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
