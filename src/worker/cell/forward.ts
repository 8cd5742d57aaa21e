import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { renderError } from '../../http/errors.js';
import { type CellPlace, cellTakes, type Introduction } from '../../protocol/cell.js';
import { excuse } from '../connections/connections.js';
import { isTls } from '../connections/follow-server.js';

/*
 * Passes a request on to the cell, and its answer back to the client: both bodies as they come, at the pace of whoever is
 * slower, and all headers but those of the connection itself. What becomes of the cell is what the client is told.
 */

/** Headers that are of one connection, and not of the request: RFC 9110, 7.6.1. Node writes those of the next one. */
const ofConnection: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'expect',
]);

type Status = 502 | 503 | 504;

/** A cell that another one replaces is gone before every worker has read where the next one is, ms. */
const whileReplaced = 1_000;
const askAgain = 25;

/** @param place where the cell is at that moment */
export function forward(
  place: () => CellPlace | null,
  server: Server,
  request: IncomingMessage,
  response: ServerResponse,
  until = performance.now() + whileReplaced,
): void {
  const { path, timeout } = place() ?? { path: null, timeout: 0 };
  excuse(response);
  if (path === null) return answer(response, 503, 'the worker for requests of this kind is starting');
  // It has gone away meanwhile.
  if (response.destroyed) return;
  let isDone = false;
  const socket = connect(path);
  const end = (): void => {
    isDone = true;
    clearTimeout(late);
    socket.destroy();
  };
  /** Where the answer has begun, only its end can say that it is not whole. */
  const fail = (status: Status, what: string): void => {
    if (isDone) return;
    end();
    if (response.headersSent) response.destroy();
    else answer(response, status, what);
  };
  const late = setTimeout(
    () => fail(504, `requests of this kind are given ${timeout / 1_000} s, and this one took longer`),
    timeout,
  );
  let isTaken = false;
  const absent = (): void => {
    if (isTaken || isDone) return;
    if (performance.now() >= until)
      return fail(503, 'the worker for requests of this kind is not there at this moment');
    // Nothing of the request has been sent.
    end();
    response.off('close', end);
    setTimeout(() => forward(place, server, request, response, until), askAgain);
  };
  socket.on('error', absent).once('close', absent);
  response.once('close', end);
  socket.write(`${JSON.stringify(introductionOf(server, request.socket))}\n`);
  socket.once('data', (first: Buffer) => {
    if (isDone) return;
    if (first.toString('latin1') !== cellTakes)
      return fail(503, 'there are too many requests of this kind at once');
    isTaken = true;
    const died = (): void => fail(502, 'the worker for requests of this kind died of one');
    const sent = httpRequest({
      createConnection: () => socket,
      method: request.method,
      path: request.url,
      headers: headersOf(request) as never,
      setHost: false,
    });
    sent.once('error', died).once('close', died);
    sent.once('response', (answered: IncomingMessage) => {
      if (isDone) return;
      pass(answered, response);
      answered.once('error', died);
      answered.once('end', () => {
        // Behind an answer that is whole nothing else of the request matters.
        isDone = answered.complete;
        clearTimeout(late);
      });
    });
    // Node has said so itself where the app does not want to.
    if (server.listenerCount('checkContinue') > 0 && /100-continue/i.test(request.headers.expect ?? ''))
      response.writeContinue();
    request.pipe(sent);
  });
}

function pass(answered: IncomingMessage, response: ServerResponse): void {
  const headers = withoutConnection(answered.rawHeaders);
  response.sendDate = false;
  response.writeHead(answered.statusCode ?? 502, answered.statusMessage, headers as never);
  answered.pipe(response, { end: false });
  answered.once('end', () => {
    if (!answered.complete) return;
    const { rawTrailers } = answered;
    const trailers = rawTrailers.flatMap((name, at): readonly [string, string][] =>
      at % 2 === 0 ? [[name, rawTrailers[at + 1] ?? '']] : [],
    );
    if (trailers.length > 0) response.addTrailers(trailers);
    response.end();
  });
}

function headersOf({ rawHeaders, headers }: IncomingMessage): readonly string[] {
  const isChunked = headers['transfer-encoding'] !== undefined;
  return [
    ...withoutConnection(rawHeaders),
    ...(isChunked ? ['Transfer-Encoding', 'chunked'] : []),
    'Connection',
    'close',
  ];
}

function withoutConnection(raw: readonly string[]): readonly string[] {
  // Those that the Connection header names are of the connection as well.
  const named = raw.flatMap((name, at) =>
    at % 2 === 0 && name.toLowerCase() === 'connection'
      ? (raw[at + 1] ?? '').toLowerCase().split(/[\s,]+/)
      : [],
  );
  return raw.filter((_, at) => {
    const name = (raw[at - (at % 2)] ?? '').toLowerCase();
    return !ofConnection.has(name) && !named.includes(name);
  });
}

function introductionOf(server: Server, socket: Socket): Introduction {
  const address = server.address() as AddressInfo | string | null;
  return {
    on: typeof address === 'string' ? address : (address?.port ?? null),
    encrypted: isTls(server),
    remote: { address: socket.remoteAddress, port: socket.remotePort, family: socket.remoteFamily },
    local: { address: socket.localAddress, port: socket.localPort, family: socket.localFamily },
  };
}

/** It is another moment than this that the client should come again. */
function answer(response: ServerResponse, status: Status, what: string): void {
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
    ...(status === 503 ? { 'Retry-After': '1' } : {}),
  });
  response.end(renderError(status, what));
}
