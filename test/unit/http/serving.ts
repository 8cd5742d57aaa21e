import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { type AppOptions, createApp } from '../../../src/http/app.js';
import type { Info } from '../../../src/http/info.js';

/** Listens on a free port of the loopback until the test ends. */
export async function listening(t: TestContext, server: http.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

export interface Logged {
  readonly error: unknown;
  readonly method: string;
  readonly path: string;
}

/** The built-in app on a real server; `logged` collects what it reported. */
export async function serving(t: TestContext, options: Partial<AppOptions> = {}) {
  const logged: Logged[] = [];
  const app = createApp({
    info: () => sampleInfo,
    stats: () => Promise.reject(new Error('no master in this test')),
    ready: () => true,
    onError: (error, request) => logged.push({ error, ...request }),
    ...options,
  });
  const server = http.createServer(app.handle).on('clientError', app.onClientError);
  const port = await listening(t, server);
  return { port, server, logged, url: `http://127.0.0.1:${port}` };
}

export const sampleInfo: Info = {
  name: 'rom-agent',
  version: '0.1.0',
  pid: 4711,
  worker: 1,
  uptimeSeconds: 9,
  node: 'v20.19.0',
  cpus: 2,
  mode: 'cluster',
  memory: { rssBytes: 61, heapUsedBytes: 9 },
};

export interface RawAnswer {
  readonly statusLine: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** Everything received. */
  readonly text: string;
}

/** Sends bytes that no HTTP client would send, and reads until the server closes. */
export async function raw(port: number, bytes: string | Buffer): Promise<RawAnswer> {
  const socket = net.connect(port, '127.0.0.1');
  socket.setTimeout(10_000, () => socket.destroy(new Error('the server did not close within 10 s')));
  socket.write(bytes);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return parse(Buffer.concat(chunks).toString('latin1'));
}

function parse(text: string): RawAnswer {
  const [head = '', body = ''] = text.split(/\r\n\r\n(.*)/s);
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = new Map(lines.map((line) => pair(line)));
  return { statusLine, headers, body, text };
}

function pair(line: string): [string, string] {
  const [name = '', value = ''] = line.split(/: (.*)/s);
  return [name.toLowerCase(), value];
}
