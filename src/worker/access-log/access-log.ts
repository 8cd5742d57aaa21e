import { randomUUID } from 'node:crypto';
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Http2Session, ServerHttp2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { createLineFile } from '../../logging/line-file.js';
import type { WorkerSettings } from '../../protocol/settings.js';
import { connectionOf, pathOf, writtenTo } from '../connections/connections.js';
import { noError, redacted } from '../connections/current-requests.js';
import { ours } from '../connections/follow-server.js';
import { isHttpBusy, sentHeader } from '../node-internals/http.js';
import type { WorkerLog } from '../worker-log.js';
import { type Access, accessFields, combinedLine } from './access-line.js';
import { clientOf, givenId, traceIdOf, trustedProxies } from './request-id.js';

export interface AccessLogSeam {
  readonly settings: WorkerSettings['accessLog'] & Pick<WorkerSettings, 'redact'>;
  /** Takes a line for the file, or an entry for the service's log. */
  readonly write: (line: { readonly text: string; readonly fields: Fields; readonly at: number }) => void;
  /** ms */
  readonly now?: () => number;
  /** ms since 1970 */
  readonly clock?: () => number;
  /** 0 to 1 */
  readonly random?: () => number;
}

/** What else it has to hear of. */
export interface AccessLog {
  /** Once for each server, before it listens. */
  onListen(server: Server): void;
  onUpgraded(socket: Socket, request: IncomingMessage): void;
}

type Fields = ReturnType<typeof accessFields>;

/** A request from its beginning to its entry. */
interface Entry {
  readonly begun: number;
  readonly at: number;
  readonly address: string | undefined;
  readonly requestId: string | null;
  readonly traceId: string | null;
  /** Written on the connection before. */
  readonly written: number;
}

/** The access log as it is configured. */
export function openAccessLog(
  { accessLog, redact }: Pick<WorkerSettings, 'accessLog' | 'redact'>,
  log: Pick<WorkerLog, 'info' | 'warn'>,
): AccessLog {
  return startAccessLog({ settings: { ...accessLog, redact }, write: writerTo(log, accessLog) });
}

/** Where the entries go: to a file of its own, else to the worker's log. Its lines are out before the process exits. */
function writerTo(
  log: Pick<WorkerLog, 'info' | 'warn'>,
  { file, format }: Pick<WorkerSettings['accessLog'], 'file' | 'format'>,
): AccessLogSeam['write'] {
  if (file === null) return ({ text, fields }) => log.info(text, fields);
  const sink = createLineFile({
    path: file,
    onTrouble: (error) =>
      log.warn('the access log cannot be written: up to 4 MiB of it wait', { file, error }),
  });
  process.on('exit', () => sink.flush());
  return format === 'combined'
    ? ({ text }) => sink.write(`${text}\n`)
    : ({ fields, at }) => sink.write(`${JSON.stringify({ time: new Date(at).toISOString(), ...fields })}\n`);
}

const idHeader = 'X-Request-Id';

/**
 * Writes an entry for each request that ends, one for each upgraded connection, and none for the worker's requests to
 * itself. Where it is off, nothing of this file is loaded.
 */
export function startAccessLog({
  settings,
  write,
  now = () => performance.now(),
  clock = Date.now,
  random = Math.random,
}: AccessLogSeam): AccessLog {
  const { format, sample, slow, errors } = settings;
  const isTrusted = trustedProxies(settings.trustedProxies);
  const givesIds = settings.requestId === 'on';
  const tellsAll = settings.redact === 'off';
  const target = (path: string): string => (tellsAll ? path : redacted(path));
  const referer = (header: string | undefined): string | null =>
    header === undefined ? null : tellsAll ? header : header.replace(/[?#].*$/s, '');

  const begin = (headers: IncomingHttpHeaders, socket: Socket): Entry => {
    const traceId = traceIdOf(headers.traceparent);
    return {
      begun: now(),
      at: clock(),
      // The socket forgets it when the connection ends.
      address: socket.remoteAddress,
      requestId: givesIds ? (givenId(headers['x-request-id']) ?? traceId ?? randomUUID()) : null,
      traceId,
      written: writtenTo(socket),
    };
  };
  const end = (
    { begun, at, address, requestId, traceId }: Entry,
    headers: IncomingHttpHeaders,
    rest: Pick<Access, 'method' | 'httpVersion' | 'status' | 'aborted' | 'upgrade'>,
    // Most requests are left out where the log has a sample: this is worked out of the others only.
    costly: () => Pick<Access, 'target' | 'bodyBytes'>,
  ): void => {
    const tookMs = now() - begun;
    const isError = rest.aborted || (rest.status !== null && rest.status >= 500);
    const isWanted = (errors === 'on' && isError) || (slow > 0 && tookMs >= slow) || random() * 100 < sample;
    if (!isWanted) return;
    const access: Access = {
      at,
      client: clientOf({ address, forwardedFor: headers['x-forwarded-for'] }, isTrusted),
      tookMs,
      referer: referer(headers.referer),
      userAgent: headers['user-agent'] ?? null,
      requestId,
      traceId,
      ...rest,
      ...costly(),
    };
    if (format === 'combined') return write({ text: combinedLine(access), fields: {}, at });
    const status = access.status ?? (access.aborted ? 'aborted' : 'upgraded');
    write({ text: `${access.method} ${access.target} ${status}`, fields: accessFields(access), at });
  };

  const onStart = ({ response, socket }: { response: ServerResponse; socket: Socket }): void => {
    if (connectionOf(socket).isOwn) return;
    const { req } = response;
    const entry = begin(req.headers, socket);
    if (entry.requestId !== null) {
      giveId(req.headers, req.rawHeaders, entry.requestId);
      response.setHeader(idHeader, entry.requestId);
    }
    // A router may change the URL meanwhile.
    const { method = '', url = '', httpVersion } = req;
    const isPipelined = isHttpBusy(socket);
    let isOver = false;
    const over = (): void => {
      if (isOver) return;
      isOver = true;
      socket.off('close', over);
      const { headersSent, statusCode, writableFinished } = response;
      const status = headersSent ? statusCode : null;
      const aborted = !writableFinished;
      end(entry, req.headers, { method, httpVersion, status, aborted, upgrade: null }, () => ({
        target: target(pathFor(req, url)),
        bodyBytes: headersSent ? bodyBytes(response, { socket, before: entry.written, isPipelined }) : 0,
      }));
    };
    // Until an answer has its turn, only its connection knows that it will not be sent.
    if (isPipelined) socket.once('close', ours(over));
    response.once('close', ours(over));
  };
  const pathFor = (req: IncomingMessage, url: string): string => (tellsAll ? url : pathOf(req));

  const onStream = (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    _flags: number,
    rawHeaders: string[],
  ): void => {
    const socket = stream.session?.socket;
    if (socket === undefined) return;
    const entry = begin(headers, socket as Socket);
    if (entry.requestId !== null) giveId(headers, rawHeaders, entry.requestId);
    const { ':method': method = '', ':path': path = '' } = headers;
    stream.once('close', () => {
      const sent = stream.sentHeaders as typeof stream.sentHeaders | undefined;
      const status = sent?.[':status'];
      const length = sent?.['content-length'];
      const told = {
        method: String(method),
        httpVersion: '2.0',
        status: typeof status === 'number' ? status : null,
        aborted: stream.rstCode !== noError,
        upgrade: null,
      };
      end(entry, headers, told, () => ({
        target: target(String(path)),
        bodyBytes: method === 'HEAD' ? 0 : length === undefined ? null : Number(length),
      }));
    });
  };
  const onUpgraded = (req: IncomingMessage, socket: Socket, protocol: string): void => {
    const entry = begin(req.headers, socket);
    if (entry.requestId !== null) giveId(req.headers, req.rawHeaders, entry.requestId);
    const { method = '', url = '', httpVersion } = req;
    socket.once('close', () => {
      const upgrade = (req.headers.upgrade ?? protocol).toLowerCase();
      end(entry, req.headers, { method, httpVersion, status: null, aborted: false, upgrade }, () => ({
        target: target(pathFor(req, url)),
        bodyBytes: Math.max(0, writtenTo(socket) - entry.written),
      }));
    });
  };

  subscribe('http.server.request.start', (message) => onStart(message as Parameters<typeof onStart>[0]));
  return {
    onListen: (server) => {
      server.on(
        'session',
        ours((session: Http2Session) => session.prependListener('stream', ours(onStream))),
      );
    },
    onUpgraded: (socket, request) =>
      onUpgraded(request, socket, request.method === 'CONNECT' ? 'connect' : 'upgrade'),
  };
}

/**
 * Bytes behind the header of an answer: by its Content-Length, else by what was written on the connection meanwhile, the
 * marks of a chunked body included. Null where that has other answers in it, which were pipelined.
 */
function bodyBytes(
  response: ServerResponse,
  { socket, before, isPipelined }: { socket: Socket; before: number; isPipelined: boolean },
): number | null {
  const { statusCode, writableFinished, req } = response;
  if (req.method === 'HEAD' || statusCode === 204 || statusCode === 304) return 0;
  const header = sentHeader(response);
  const [, length] = /^content-length: *(\d+)\r$/im.exec(header) ?? [];
  if (length !== undefined && writableFinished) return Number(length);
  if (isPipelined || connectionOf(socket).response !== null) return null;
  return Math.max(0, writtenTo(socket) - before - header.length);
}

/** The app finds the id as if the client had sent it. */
function giveId(headers: IncomingHttpHeaders, rawHeaders: string[], id: string): void {
  if (headers['x-request-id'] === id) return;
  if (headers['x-request-id'] === undefined) rawHeaders.push(idHeader, id);
  else {
    for (let place = 0; place < rawHeaders.length; place += 2)
      if (rawHeaders[place]?.toLowerCase() === 'x-request-id') rawHeaders[place + 1] = id;
  }
  headers['x-request-id'] = id;
}
