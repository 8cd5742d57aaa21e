import { type Server as HttpServer, get as httpGet, type IncomingMessage } from 'node:http';
import { Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes, RomAgentError } from '../../errors.js';
import { divert } from '../../http/divert.js';
import type { Listen } from '../../protocol/settings.js';
import { targetFirst } from '../app/target.js';
import { announce } from '../connections/connections.js';
import { isHttp, isTls, type TrackedServer } from '../connections/follow-server.js';
import { listenForOurselves, type Servers, untracked, type Where } from '../connections/servers.js';

export interface ProbeResult {
  /** What was wrong with the answer; null where nothing was, or where no server here speaks HTTP/1. */
  readonly failure: string | null;
  /** ms */
  readonly tookMs: number;
}

export interface ProbeSeam {
  readonly servers: Pick<Servers, 'all'>;
  /** Of several servers the one on the configured address is asked. */
  readonly listen: Listen;
}

/**
 * Sends a request to this process's own app, over a connection from within the process: through the shared listener
 * any worker might get it. Any status below 500 shows that the app answers, and so does a TLS alert: a server that
 * requires certificates refuses a client without one. Never rejects.
 */
export async function probe(
  seam: ProbeSeam,
  { path, timeout }: { path: string; timeout: number },
): Promise<ProbeResult> {
  const begun = performance.now();
  const entry = asked(seam).find(({ server }) => isHttp(server));
  const failure = entry === undefined ? null : await ask(entry, { path, timeout });
  return { failure, tookMs: Math.round((performance.now() - begun) * 10) / 10 };
}

export interface StartProbe {
  readonly path: string;
  /** When to give up, by `now`, ms. */
  readonly until: number;
}

export interface StartProbeSeam {
  /** Asks the app once, as `probe` does. */
  readonly ask: (question: { readonly path: string; readonly timeout: number }) => Promise<ProbeResult>;
  /** The start probe ends when the worker drains. */
  readonly isDraining: () => boolean;
  /** ms */
  readonly now?: () => number;
  /** Pause between two requests, ms. */
  readonly pause?: number;
}

/** Short, because the start waits for it. ms */
const usualPause = 200;
/** A request with less time than this says nothing about the app, ms. */
const shortest = 100;

/**
 * Asks the app for a path until it answers with a status below 500: an app that listens may still wait for its
 * database. Resolves to the time that the last answer took, ms; to null if the worker drains meanwhile.
 *
 * @throws RomAgentError (exit 75) with what was wrong with the last answer, at `until`
 */
export async function answersAtStart(
  { path, until }: StartProbe,
  { ask, isDraining, now = () => performance.now(), pause = usualPause }: StartProbeSeam,
): Promise<number | null> {
  const begun = now();
  for (;;) {
    const { failure, tookMs } = await ask({ path, timeout: Math.round(Math.max(shortest, until - now())) });
    if (isDraining()) return null;
    if (failure === null) return tookMs;
    if (now() + pause >= until) throw failed(failure, now() - begun);
    await sleep(pause);
  }
}

/**
 * Whether this process answers a request through its own server. Without a path the request does not reach the app,
 * which may fail for a reason that a restart does not fix, such as a database that is down. If no server here speaks
 * HTTP/1, it is proof enough that this code runs; if none listens at all, there is no proof.
 */
export async function proves(
  seam: ProbeSeam,
  { path, timeout }: { path: string | null; timeout: number },
): Promise<boolean> {
  const candidates = asked(seam).map(({ server }) => server);
  const server = candidates.find(isHttp);
  if (server === undefined) return candidates.length > 0;
  const token = process.getBuiltinModule('node:crypto').randomUUID();
  const takes = ({ headers }: IncomingMessage): boolean => path === null && headers[proofHeader] === token;
  const undo = divert(server as HttpServer, { takes, handle: (_, response) => response.end() });
  try {
    const headers = { [proofHeader]: token };
    await askServer(server, { path: path ?? '/', timeout, headers });
    return true;
  } catch (error) {
    return isAlert(error);
  } finally {
    undo();
  }
}

/** The servers that can be asked, the one on the configured address first. */
function asked({ servers, listen }: ProbeSeam): TrackedServer[] {
  return targetFirst(
    servers.all.filter(({ server }) => server.listening),
    listen,
  );
}

async function ask(
  { server }: TrackedServer,
  { path, timeout }: { path: string; timeout: number },
): Promise<string | null> {
  try {
    const { statusCode = 0 } = await askServer(server, { path, timeout, headers: {} });
    return statusCode < 500 ? null : `GET ${path} was answered with ${statusCode}`;
  } catch (error) {
    if (isAlert(error)) return null;
    return `GET ${path}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

interface Asked {
  readonly path: string;
  /** ms */
  readonly timeout: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** The server speaks TLS and refused us, as with ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED (RFC 8446, section 6). */
function isAlert(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException;
  return code.startsWith('ERR_SSL_') && code.includes('ALERT');
}

async function askServer(server: Server, asked: Asked): Promise<IncomingMessage> {
  const door = new Server((socket: Socket) => {
    // Our own requests do not count as traffic of the service.
    announce(socket, 'isOwn');
    server.emit('connection', socket);
  });
  untracked.add(door);
  try {
    const where = await listenForOurselves(door);
    return await answerTo({ ...asked, where, tls: isTls(server) });
  } finally {
    door.close();
  }
}

const proofHeader = 'x-rom-agent-proof';

async function answerTo({
  where,
  path,
  timeout,
  headers,
  tls,
}: Asked & { where: Where; tls: boolean }): Promise<IncomingMessage> {
  // A server that speaks TLS has loaded node:https already; others do not need it.
  const get = tls ? (await import('node:https')).get : httpGet;
  return new Promise((resolve, reject) => {
    const options = {
      ...('path' in where ? { socketPath: where.path } : where),
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
    // The server is this very process: whose name the certificate has does not matter.
    const request = get({ ...options, ...(tls ? { rejectUnauthorized: false } : {}) }, onAnswer);
    const late = setTimeout(() => {
      // A stream of events never ends; that it has begun is an answer.
      if (answered !== null) resolve(answered);
      request.destroy(new Error(`no answer within ${timeout} ms`));
    }, timeout).unref();
    request.once('error', reject).once('close', () => {
      clearTimeout(late);
      reject(new Error('the connection was closed without an answer'));
    });
  });
}

function failed(failure: string, waited: number): RomAgentError {
  const message =
    `start.probe: ${failure}, and no better within ${(waited / 1000).toFixed(1)} s; ` +
    'expected a status below 500 within boot_timeout';
  return new RomAgentError(message, { exitCode: exitCodes.tryAgain });
}
