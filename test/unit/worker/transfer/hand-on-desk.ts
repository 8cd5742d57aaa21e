import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { WorkerMessage } from '../../../../src/protocol/messages.js';
import { learnAccepting } from '../../../../src/worker/connections/connection-handle.js';
import { connectionOf } from '../../../../src/worker/connections/connections.js';
import { createHandOn } from '../../../../src/worker/transfer/hand-on.js';
import { type ByteClient, openBytes } from '../byte-client.js';

export const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

export interface Echo {
  readonly server: Server;
  readonly port: number;
  readonly sockets: Socket[];
}

/** Answers with the path and the body. */
export async function echo(t: TestContext, server: Server = createServer()): Promise<Echo> {
  const sockets: Socket[] = [];
  server.on('connection', (socket) => sockets.push(socket));
  server.on('request', (request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => response.end(`[${request.url}${body}]`));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  learnAccepting(server);
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { server, port: (server.address() as AddressInfo).port, sockets };
}

export function first(sockets: readonly Socket[]): Socket {
  const [socket] = sockets;
  assert.ok(socket);
  return socket;
}

export interface Desk {
  readonly sent: WorkerMessage[];
  /** Why connections stay. */
  readonly told: string[];
  readonly handOn: ReturnType<typeof createHandOn>;
  readonly changes: () => number;
  loseMaster(): void;
}

/** `deliver`: whether the master can be reached; `lost`: what is sent arrives, and the connection beside it does not. */
export function desk(
  { server }: Echo,
  deliver: boolean | 'lost' | 'unanswered',
  mode: 'auto' | 'on' = 'on',
): Desk {
  const told: string[] = [];
  const sent: WorkerMessage[] = [];
  const lost: (() => void)[] = [];
  let changes = 0;
  const handOn = createHandOn({
    channel: {
      send: async (message) => void sent.push(message),
      hand: async (message) => {
        sent.push(message);
        if (message.type === 'hand-on' && deliver !== 'unanswered')
          setImmediate(() => handOn.onHanded({ type: 'handed', id: message.id, came: deliver !== 'lost' }));
        return deliver !== false;
      },
      onLost: (act) => void lost.push(act),
    },
    moving: { mode, isAble: () => true, tell: (reason) => void told.push(reason) },
  });
  handOn.onChange(() => changes++);
  handOn.onListening(server);
  server.prependListener('request', ({ socket }, response) => {
    handOn.onRequest(response, connectionOf(socket));
    response.on('finish', () => handOn.onAnswered(response, connectionOf(socket)));
  });
  const loseMaster = (): void => {
    for (const act of lost) act();
  };
  return { sent, told, handOn, changes: () => changes, loseMaster };
}

export async function asked(t: TestContext, port: number, text: string): Promise<ByteClient> {
  const client = await openBytes(t, port);
  client.socket.write(text);
  await client.until(']');
  return client;
}
