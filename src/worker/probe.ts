import { randomUUID } from 'node:crypto';
import { type Server as HttpServer, get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { type AddressInfo, Server, type Socket } from 'node:net';
import { divert } from '../http/divert.js';
import { announce } from './connections.js';
import { isHttp, isTls, type TrackedServer } from './follow-server.js';
import { type Servers, untracked } from './servers.js';

export interface ProbeResult {
  /** What was wrong with the answer; null where it is fine, or where nobody here speaks HTTP/1. */
  readonly failure: string | null;
  /** ms */
  readonly took: number;
}

/**
 * Asks this process's own app for a path, over a connection that comes from nowhere else: the listener that all workers
 * share would hand it to any of them. Any status below 500 shows that the app answers. Never rejects.
 */
export async function probe(
  servers: Pick<Servers, 'all'>,
  { path, timeout }: { path: string; timeout: number },
): Promise<ProbeResult> {
  const begun = performance.now();
  const entry = servers.all.find(({ server }) => server.listening && isHttp(server));
  const failure = entry === undefined ? null : await ask(entry, { path, timeout });
  return { failure, took: Math.round((performance.now() - begun) * 10) / 10 };
}

async function ask(
  { server }: TrackedServer,
  { path, timeout }: { path: string; timeout: number },
): Promise<string | null> {
  try {
    const { statusCode = 0 } = await askServer(server, { path, timeout, headers: {} });
    return statusCode < 500 ? null : `GET ${path} was answered with ${statusCode}`;
  } catch (error) {
    return `GET ${path}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

interface Asked {
  readonly path: string;
  /** ms */
  readonly timeout: number;
  readonly headers: Readonly<Record<string, string>>;
}

async function askServer(server: Server, asked: Asked): Promise<IncomingMessage> {
  const door = new Server((socket: Socket) => {
    // What we ask ourselves is none of the service's traffic.
    announce(socket, 'isOwn');
    server.emit('connection', socket);
  });
  untracked.add(door);
  try {
    return await answerTo({ ...asked, port: await open(door), tls: isTls(server) });
  } finally {
    door.close();
  }
}

/**
 * Whether this process answers a request through its own server. Without a path the app does not hear of it: it may
 * have reasons of its own not to answer, such as a database that is away, and a restart would not mend those. Where
 * nobody here speaks HTTP/1, to be able to say so is the proof.
 */
export async function proves(
  servers: Pick<Servers, 'all'>,
  { path, timeout }: { path: string | null; timeout: number },
): Promise<boolean> {
  const server = servers.all.map((entry) => entry.server).find((each) => each.listening && isHttp(each));
  if (server === undefined) return true;
  const token = randomUUID();
  const takes = ({ headers }: IncomingMessage): boolean => path === null && headers[proofHeader] === token;
  const undo = divert(server as HttpServer, { takes, handle: (_, response) => response.end() });
  try {
    await askServer(server, { path: path ?? '/', timeout, headers: { [proofHeader]: token } });
    return true;
  } catch {
    return false;
  } finally {
    undo();
  }
}

const proofHeader = 'x-rom-agent-proof';

/** `exclusive`: a port of this process, not one of the cluster. */
function open(door: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    door.once('error', reject);
    door.listen({ port: 0, host: '127.0.0.1', exclusive: true }, () =>
      resolve((door.address() as AddressInfo).port),
    );
  });
}

function answerTo({
  port,
  path,
  timeout,
  headers,
  tls,
}: Asked & { port: number; tls: boolean }): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      path,
      agent: false,
      headers: { 'User-Agent': 'rom-agent', ...headers },
    };
    let answered: IncomingMessage | null = null;
    const onAnswer = (answer: IncomingMessage): void => {
      answered = answer;
      answer.resume();
      answer.once('end', () => resolve(answer)).once('error', reject);
    };
    // It is this very process: whom the certificate names is no matter.
    const request = tls
      ? httpsGet({ ...options, rejectUnauthorized: false }, onAnswer)
      : httpGet(options, onAnswer);
    const late = setTimeout(() => {
      // A stream of events has no end; that it has begun is an answer.
      if (answered !== null) resolve(answered);
      request.destroy(new Error(`no answer within ${timeout} ms`));
    }, timeout).unref();
    request.once('error', reject).once('close', () => {
      clearTimeout(late);
      reject(new Error('the connection was closed without an answer'));
    });
  });
}
