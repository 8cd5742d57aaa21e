import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { waitFor } from '../../support/wait.js';

/** One connection, byte by byte: for what is not HTTP, or not any more. */
export class ByteClient {
  readonly socket: Socket;
  #chunks: Buffer[] = [];
  #end: 'fin' | 'reset' | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
    });
    socket.on('error', () => {
      this.#end = 'reset';
    });
    socket.on('end', () => {
      this.#end ??= 'fin';
    });
  }

  get bytes(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  /** How the server ended the connection; null while it is open. */
  get end(): 'fin' | 'reset' | null {
    return this.#end;
  }

  /** What has come, once it holds `part`. */
  async until(part: string | Buffer): Promise<Buffer> {
    await waitFor(`${JSON.stringify(part.toString('latin1'))} from the server`, () =>
      this.bytes.includes(part),
    );
    return this.bytes;
  }

  ended(): Promise<'fin' | 'reset' | null> {
    return waitFor('the end of the connection', () => this.#end, { timeout: 30_000 });
  }
}

export function openBytes(
  t: TestContext,
  port: number,
  options: { readonly allowHalfOpen?: boolean } = {},
): Promise<ByteClient> {
  return opened(t, connect({ port, host: '127.0.0.1', noDelay: true, ...options }), 'connect');
}

export function openTls(t: TestContext, port: number, ALPNProtocols: string[] = []): Promise<ByteClient> {
  const options = { port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols };
  return opened(t, connectTls(options), 'secureConnect');
}

function opened(t: TestContext, socket: Socket, event: string): Promise<ByteClient> {
  t.after(() => socket.destroy());
  const client = new ByteClient(socket);
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once(event, () => {
      socket.off('error', reject);
      resolve(client);
    });
  });
}
