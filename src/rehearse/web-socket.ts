import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import type { WebSocketEnd } from './observations.js';
import { answerLimit, type Scene } from './scene.js';

export interface OpenWebSocket {
  readonly ended: Promise<WebSocketEnd>;
}

/** A WebSocket (RFC 6455) on the first path where the app has one; null: it has none. */
export async function openWebSocket({ sandbox, samples }: Scene): Promise<OpenWebSocket | null> {
  const paths = new Set([...samples.map(({ path }) => path.replace(/\?.*/, '')), '/ws']);
  for (const path of [...paths].slice(0, mostPaths)) {
    const opened = await upgrade(path, sandbox.target);
    if (opened !== null) return { ended: endOf(opened.socket, { path, head: opened.head }) };
  }
  return null;
}

const mostPaths = 10;

interface Opened {
  readonly socket: Socket;
  readonly head: Buffer;
}

function upgrade(
  path: string,
  target: { readonly host: string; readonly port: number },
): Promise<Opened | null> {
  return new Promise((resolve) => {
    const outgoing = request({
      ...target,
      path,
      agent: false,
      timeout: answerLimit,
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      },
    });
    outgoing.on('error', () => resolve(null));
    outgoing.once('timeout', () => outgoing.destroy());
    outgoing.once('response', (incoming) => {
      incoming.resume();
      outgoing.destroy();
      resolve(null);
    });
    outgoing.once('upgrade', (_, socket: Socket, head) => resolve({ socket, head }));
    outgoing.end();
  });
}

/** A server's frames are not masked, and a Close frame is short: two bytes of head, then the code. */
function endOf(
  socket: Socket,
  { path, head }: { readonly path: string; readonly head: Buffer },
): Promise<WebSocketEnd> {
  return new Promise((resolve) => {
    let data = head;
    let code: number | null = null;
    const read = (): void => {
      for (let frame = firstFrame(data); frame !== null; frame = firstFrame(data)) {
        if (frame.opcode === closeFrame) {
          code = frame.payload.length >= 2 ? frame.payload.readUInt16BE(0) : 1005;
          // A client's frames are masked, here with zeros.
          socket.end(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
        }
        data = data.subarray(frame.size);
      }
    };
    socket.on('data', (chunk: Buffer) => {
      data = Buffer.concat([data, chunk]);
      read();
    });
    socket.on('error', () => {});
    socket.once('close', () => resolve({ path, code }));
    read();
  });
}

const closeFrame = 8;

function firstFrame(
  data: Buffer,
): { readonly opcode: number; readonly payload: Buffer; readonly size: number } | null {
  if (data.length < 2) return null;
  const short = data.readUInt8(1) & 0x7f;
  const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
  if (data.length < 2 + extra) return null;
  const length = extra === 0 ? short : extra === 2 ? data.readUInt16BE(2) : Number(data.readBigUInt64BE(2));
  const size = 2 + extra + length;
  if (data.length < size) return null;
  return { opcode: data.readUInt8(0) & 0x0f, payload: data.subarray(2 + extra, size), size };
}
