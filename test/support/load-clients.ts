import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import {
  ConnectFailed,
  type Connection,
  openConnection,
  RequestLost,
  type Target,
} from './http-connection.js';
import type { RawResponse } from './http-reader.js';
import type { ClientKind } from './load.js';
import type { Tally } from './load-tally.js';

/** One client of a load. Times are in ms. */
export interface ClientRun {
  readonly kind: ClientKind;
  readonly target: Target;
  readonly path: string;
  readonly method: string;
  readonly expectStatus: number;
  readonly requestTimeout: number;
  readonly pauseMs: number;
  readonly depth: number;
  readonly pieces: number;
  readonly tally: Tally;
  readonly stop: AbortSignal;
  /** Called after each change of the tally. */
  readonly moved: () => void;
}

interface Sent {
  readonly connection: Connection;
  readonly answer: Promise<RawResponse>;
}

/** How long a refused client waits before it knocks again. */
const refusedPause = 20;

/** Sends until the stop signal, then waits for what is due, and closes. */
export async function runClient(run: ClientRun): Promise<void> {
  const exchange = exchanges[run.kind];
  let connection: Connection | null = null;
  while (!run.stop.aborted) {
    if (connection !== null && !stillUsable(run, connection)) connection = null;
    connection ??= await open(run);
    if (run.stop.aborted) break;
    if (connection === null) await pause(run, refusedPause);
    else await exchange(run, connection);
    run.moved();
    if (run.kind !== 'slow-body' && run.pauseMs > 0) await pause(run, run.pauseMs);
    // Two turns have a poll phase between them: a FIN that is already here is seen before the next request.
    await turn();
    await turn();
  }
  if (connection !== null && stillUsable(run, connection)) connection.close();
}

const exchanges: Record<ClientKind, (run: ClientRun, connection: Connection) => Promise<void>> = {
  'keep-alive': (run, connection) =>
    once(run, { connection, answer: connection.request(head(run), run.requestTimeout) }),
  'per-connection': oneRequest,
  'slow-body': slowBody,
  pipelining: pipelined,
};

async function oneRequest(run: ClientRun, connection: Connection): Promise<void> {
  const answer = connection.request(head(run, 'Connection: close'), run.requestTimeout);
  await once(run, { connection, answer });
  connection.close();
}

async function slowBody(run: ClientRun, connection: Connection): Promise<void> {
  const piece = 'x'.repeat(16);
  const length = run.pieces * piece.length;
  const fields = `Content-Type: text/plain\r\nContent-Length: ${length}`;
  const whole = run.requestTimeout + run.pieces * run.pauseMs;
  const answer = once(run, { connection, answer: connection.request(head(run, fields), whole) });
  for (let sent = 0; sent < run.pieces && connection.usable; sent += 1) {
    // The body is always sent to its end, past the stop of the load too: it is a request that was begun.
    await sleep(run.pauseMs);
    if (connection.usable) connection.write(piece);
  }
  await answer;
}

async function pipelined(run: ClientRun, connection: Connection): Promise<void> {
  const answers = Array.from({ length: run.depth }, (_, nth) => {
    const rest = nth === 0 ? head(run).repeat(run.depth) : '';
    return once(run, { connection, answer: connection.request(rest, run.requestTimeout) });
  });
  await Promise.all(answers);
}

/** Books one request. Never rejects. */
async function once(run: ClientRun, { connection, answer }: Sent): Promise<void> {
  const { tally, kind: client } = run;
  tally.sent += 1;
  const before = performance.now();
  try {
    const { status, body, closing } = await answer;
    if (closing) tally.announcedCloses += 1;
    if (status === run.expectStatus) tally.ok({ client, body, ms: performance.now() - before });
    else tally.fail({ client, connection, kind: 'status', message: `${status} ${body.slice(0, 120)}` });
  } catch (error) {
    if (!(error instanceof RequestLost)) throw error;
    if (error.kind === 'unanswered') tally.unanswered += 1;
    else tally.fail({ client, connection, kind: error.kind, message: error.message });
  }
}

async function open(run: ClientRun): Promise<Connection | null> {
  try {
    const connection = await openConnection(run.target, run.requestTimeout);
    run.tally.connections += 1;
    return connection;
  } catch (error) {
    if (!(error instanceof ConnectFailed)) throw error;
    if (error.refused) run.tally.refuse(run.kind);
    else run.tally.fail({ client: run.kind, kind: 'connect', message: error.message });
    return null;
  }
}

function stillUsable({ tally, kind }: ClientRun, connection: Connection): boolean {
  if (connection.usable) return true;
  if (connection.fault !== null)
    tally.fail({ client: kind, connection, kind: 'malformed', message: connection.fault });
  else if (connection.idle === 'fin') tally.idleCloses += 1;
  else if (connection.idle === 'reset') tally.idleResets += 1;
  connection.close();
  return false;
}

function head({ method, path, kind }: ClientRun, fields = ''): string {
  const type = kind === 'slow-body' || method === 'GET' ? '' : 'Content-Length: 0\r\n';
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${type}${fields === '' ? '' : `${fields}\r\n`}\r\n`;
}

async function pause({ stop }: ClientRun, ms: number): Promise<void> {
  // The rejection is the stop signal's, and the loop looks at that.
  await sleep(ms, undefined, { signal: stop }).catch(() => {});
}
