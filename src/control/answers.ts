import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  apiVersion,
  blankLineInterval,
  jsonType,
  linesType,
  versionHeader,
} from '../protocol/control-api.js';

const codes = {
  400: 'bad_request',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'request_timeout',
  409: 'refused',
  413: 'content_too_large',
  431: 'headers_too_large',
  500: 'internal_error',
  503: 'unavailable',
} as const;

export type ErrorStatus = keyof typeof codes;

/** One invalid field of a request. */
export interface FieldProblem {
  readonly field: string;
  /** As it was sent. */
  readonly value: unknown;
  readonly expected: string;
}

/** An answer other than success; its message is for the client to read, its cause is not. */
export class ControlError extends Error {
  readonly status: ErrorStatus;
  readonly headers: Readonly<Record<string, string>>;
  readonly problems: readonly FieldProblem[];

  constructor(status: ErrorStatus, message: string, options: ControlErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'ControlError';
    this.status = status;
    this.headers = options.headers ?? {};
    this.problems = options.problems ?? [];
  }
}

export interface ControlErrorOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly problems?: readonly FieldProblem[];
  readonly cause?: unknown;
}

/** 400 for invalid fields. */
export function badFields(problems: readonly FieldProblem[]): ControlError {
  const sentences = problems.map(
    ({ field, value, expected }) =>
      `${field}: ${shown(JSON.stringify(value))} is not right: expected ${expected}`,
  );
  return new ControlError(400, sentences.join('; '), { problems });
}

/** The JSON of an error and a newline: `{"error":{"status":409,"code":"refused","message":"..."}}`. */
export function renderError({ status, message, problems }: ControlError): string {
  const fields = problems.length === 0 ? {} : { problems };
  return `${JSON.stringify({ error: { status, code: codes[status], message, ...fields } })}\n`;
}

export const commonHeaders: Readonly<Record<string, string>> = {
  [versionHeader]: apiVersion,
  'Cache-Control': 'no-store',
};

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendText(response, { status, body: `${JSON.stringify(value)}\n`, headers: {} });
}

/** Sends an error. An answer that has begun cannot be taken back and is cut instead. */
export function sendError(response: ServerResponse, error: ControlError): void {
  if (response.headersSent) response.destroy();
  else sendText(response, { status: error.status, body: renderError(error), headers: error.headers });
}

/** A value for a sentence, shortened. */
export function shown(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}

/** Bytes that may wait for a slow client before its connection is cut. A single line may be longer. */
export const mostWaiting = 256 * 1024;

/** An answer of JSON documents, one a line. After its end, writing does nothing. */
export interface LineStream {
  write(value: unknown): void;
  end(): void;
  /** Calls back once, when the stream has ended or the client is gone or too slow; at once if that was before. */
  onOver(call: () => void): void;
}

/**
 * Begins the answer. Its headers are sent at once: the client misses nothing from then on.
 *
 * @param heartbeat ms between two blank lines
 */
export function openLineStream(response: ServerResponse, heartbeat = blankLineInterval): LineStream {
  const { socket } = response.req;
  const calls: (() => void)[] = [];
  let over = socket.destroyed;
  const finish = (): void => {
    over = true;
    clearInterval(timer);
    socket.off('close', finish);
    for (const call of calls.splice(0)) call();
  };
  const send = (line: string): void => {
    if (over) return;
    if (response.writableLength > mostWaiting) socket.destroy();
    else response.write(line);
  };
  const timer = setInterval(() => send('\n'), heartbeat);
  response.once('close', finish);
  // A pipelined request waits without a socket of its own, and then its response closes with no event.
  socket.once('close', finish);
  response.writeHead(200, { ...commonHeaders, 'Content-Type': linesType });
  response.flushHeaders();
  if (over) finish();
  return {
    write: (value) => send(`${JSON.stringify(value)}\n`),
    end: () => {
      response.end();
      finish();
    },
    onOver: (call) => {
      if (over) call();
      else calls.push(call);
    },
  };
}

/** For the server's 'clientError': answers what Node's parser refused, unless an answer has begun, and closes. */
export function onClientError(error: Error & { code?: unknown }, socket: Duplex): void {
  // The parser reports every further chunk of a refused connection.
  if (socket.writableEnded) return;
  if (!socket.writable || error.code === 'ECONNRESET' || answering(socket)) {
    socket.destroy();
    return;
  }
  socket.end(rawAnswer(parserError(error.code)), () => socket.destroy());
}

function sendText(
  response: ServerResponse,
  { status, body, headers }: { status: number; body: string; headers: Readonly<Record<string, string>> },
): void {
  response.writeHead(status, {
    ...commonHeaders,
    ...headers,
    'Content-Type': jsonType,
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}

function parserError(code: unknown): ControlError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new ControlError(431, 'the request line and headers are too large');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new ControlError(413, 'the chunk extensions are too large');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ControlError(408, 'the request did not arrive in time');
    default:
      return new ControlError(400, 'the bytes received are not a valid HTTP/1.1 request');
  }
}

function rawAnswer(error: ControlError): string {
  const body = renderError(error);
  const headers = {
    ...commonHeaders,
    'Content-Type': jsonType,
    'Content-Length': Buffer.byteLength(body),
    Connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`, ...lines, '', body].join('\r\n');
}

/** Whether an answer has begun. Node has no public name for the response of a connection. */
function answering(socket: Duplex & { _httpMessage?: { headersSent?: boolean } | null }): boolean {
  return socket._httpMessage?.headersSent === true;
}
