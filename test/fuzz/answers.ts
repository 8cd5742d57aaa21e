import type { Request } from './script.js';

/** An answer as it came over the wire. */
export interface Answer {
  readonly status: number;
  readonly token: string | undefined;
  /** The process that gave it. */
  readonly pid: number | undefined;
  /** Not 1xx, after which the answer follows; 101 is one. */
  readonly isFinal: boolean;
  /** It says `Connection: close`. */
  readonly closes: boolean;
  /** It has no length of its own: it ends with the connection, whole or not. */
  readonly untilClose: boolean;
  /** Head and body without what differs from process to process. */
  readonly text: string;
}

export interface Cut {
  readonly answers: readonly Answer[];
  /** Behind the last whole answer. */
  readonly rest: string;
  /** The bytes of the whole answers. */
  readonly used: number;
  /** The next answer is not whole before there are as many bytes behind those. */
  readonly lacks: number;
}

interface Framed {
  /** Where it ends, which may be behind what has come. */
  readonly end: number;
  readonly untilClose: boolean;
}

/** Cuts what a server has sent into answers. `requests` says what their methods were: HEAD and CONNECT have no bodies. */
export function cutAnswers(bytes: Buffer, requests: readonly Request[]): Cut {
  const text = bytes.toString('latin1');
  const answers: Answer[] = [];
  let at = 0;
  let finals = 0;
  let lacks = 1;
  while (at < text.length) {
    const headEnd = text.indexOf('\r\n\r\n', at);
    if (headEnd === -1 || !text.startsWith('HTTP/1.1 ', at)) break;
    const head = text.slice(at, headEnd + 2);
    const framed = frame(text, { head, bodyAt: headEnd + 4, method: requests[finals]?.method });
    if (framed === null) break;
    if (framed.end > text.length) {
      lacks = framed.end - at;
      break;
    }
    const status = statusOf(head);
    const isFinal = status >= 200 || status === 101;
    const pid = field(head, 'x-where');
    answers.push({
      status,
      token: field(head, 'x-token'),
      pid: pid === undefined ? undefined : Number(pid),
      isFinal,
      closes: field(head, 'connection')?.toLowerCase() === 'close',
      untilClose: framed.untilClose,
      text: comparable(text.slice(at, framed.end)),
    });
    if (isFinal) finals++;
    at = framed.end;
  }
  return { answers, rest: comparable(text.slice(at)), used: at, lacks };
}

/** Without the date, the process, and the cookie that names the worker. */
export function comparable(text: string): string {
  return text.replace(/^(Date: |X-Where: |Set-Cookie: rom-agent=)[^\r\n]*\r\n/gm, '');
}

/** Without the fields that tell a client whether the connection stays: a worker that drains says `close` in each. */
export function withoutPersistence(text: string): string {
  return text.replace(/^(Connection: (?:close|keep-alive)|Keep-Alive: [^\r\n]*)\r\n/gim, '');
}

/** Null where it is not whole, and does not say how long it is. */
function frame(
  text: string,
  { head, bodyAt, method }: { head: string; bodyAt: number; method: string | undefined },
): Framed | null {
  const status = statusOf(head);
  const rest = { end: text.length, untilClose: true };
  if (status === 101 || (method === 'CONNECT' && status === 200)) return rest;
  const withoutBody = status < 200 || status === 204 || status === 304 || method === 'HEAD';
  if (withoutBody) return { end: bodyAt, untilClose: false };
  if (field(head, 'transfer-encoding')?.toLowerCase() === 'chunked') {
    const end = endOfChunks(text, bodyAt);
    return end === null ? null : { end, untilClose: false };
  }
  const length = field(head, 'content-length');
  if (length === undefined) return rest;
  return { end: bodyAt + Number(length), untilClose: false };
}

function endOfChunks(text: string, from: number): number | null {
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    const size = lineEnd === -1 ? Number.NaN : Number.parseInt(text.slice(at, lineEnd), 16);
    if (Number.isNaN(size)) return null;
    if (size === 0) return endOfTrailers(text, lineEnd + 2);
    at = lineEnd + 2 + size + 2;
    if (at > text.length) return null;
  }
}

/** Fields, as a rule none, and an empty line. */
function endOfTrailers(text: string, from: number): number | null {
  if (text.startsWith('\r\n', from)) return from + 2;
  const end = text.indexOf('\r\n\r\n', from);
  return end === -1 ? null : end + 4;
}

function statusOf(head: string): number {
  return Number(head.slice(9, 12));
}

function field(head: string, name: string): string | undefined {
  return new RegExp(`^${name}: ([^\\r\\n]*)\\r$`, 'im').exec(head)?.[1]?.trim();
}
