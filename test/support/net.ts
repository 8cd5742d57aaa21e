import { once } from 'node:events';
import { type IncomingHttpHeaders, request } from 'node:http';
import { createServer, type Server } from 'node:net';

/** Below those that the kernel hands out to clients (ip(7), ip_local_port_range), so that none of them takes one. */
const firstPort = 16_000;
/**
 * Each process has so many for itself, by its number, and begins anew when it has used them up. Of two processes with the
 * same share each begins elsewhere.
 */
const portsEach = 150;
const shares = 100;
let lastPort = Math.trunc(process.pid / shares) * 7;

/** A TCP port that nobody listens on at this moment, and that no test file beside this one is given. */
export async function freePort(host?: string): Promise<number> {
  for (let tries = 0; tries < portsEach; tries++) {
    const port = firstPort + (process.pid % shares) * portsEach + (lastPort++ % portsEach);
    if (await isFree(port, host)) return port;
  }
  throw new Error(`all ${portsEach} ports of this process are in use`);
}

async function isFree(port: number, host?: string): Promise<boolean> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** The file descriptor of a server that listens. */
export function descriptorOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The parsed body; undefined where it is not JSON. */
  readonly json: unknown;
}

export interface HttpQuestion {
  readonly port?: number;
  readonly host?: string;
  readonly socketPath?: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** ms, 30 s unless told */
  readonly timeout?: number;
}

/** One request on a connection of its own. Rejects when there is no complete answer in time. */
export function ask({
  host = '127.0.0.1',
  body,
  timeout = 30_000,
  ...options
}: HttpQuestion): Promise<HttpAnswer> {
  const address = options.socketPath === undefined ? { host } : {};
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeout);
    const outgoing = request({ ...options, ...address, agent: false, signal }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const { statusCode: status = 0, headers } = incoming;
        resolve({ status, headers, text, json: parse(text) });
      });
    });
    outgoing.on('error', reject).end(body);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
