/** What the access log tells of a request. */
export interface Access {
  /** When it began, ms since 1970. */
  readonly at: number;
  /** The client's address; null: of a unix socket. */
  readonly client: string | null;
  readonly method: string;
  /** As far as `redact` lets it be told. */
  readonly target: string;
  readonly httpVersion: string;
  /** null: no header was sent, or the app answered an upgrade itself. */
  readonly status: number | null;
  /** What was sent behind the header of the answer; null: unknown. */
  readonly bodyBytes: number | null;
  readonly tookMs: number;
  /** The connection ended before the answer did. */
  readonly aborted: boolean;
  /** `websocket`, `connect`: what became of the connection; null: nothing. */
  readonly upgrade: string | null;
  readonly referer: string | null;
  readonly userAgent: string | null;
  readonly requestId: string | null;
  readonly traceId: string | null;
}

/** As nginx writes it where a client ends the connection before it is answered. */
const closedByClient = 499;

/** The format `combined` of Apache and nginx, without a newline. What is not known is `-`. */
export function combinedLine(access: Access): string {
  const { at, client, method, target, httpVersion, status, bodyBytes, aborted, referer, userAgent } = access;
  const code = status ?? (aborted ? closedByClient : '-');
  const request = `${escaped(method)} ${escaped(target)} HTTP/${escaped(httpVersion)}`;
  return `${client ?? '-'} - - [${commonTime(at)}] "${request}" ${code} ${bodyBytes ?? '-'} "${quoted(referer)}" "${quoted(userAgent)}"`;
}

/** The same as fields of a JSON document: those that say nothing are left out. */
export function accessFields(access: Access): Readonly<Record<string, string | number | boolean>> {
  const { at, target, bodyBytes, tookMs, aborted, upgrade, requestId, traceId, ...rest } = access;
  const { client, method, httpVersion, status, referer, userAgent } = rest;
  return {
    ...(client === null ? {} : { client }),
    method,
    path: target,
    httpVersion,
    ...(status === null ? {} : { status }),
    ...(bodyBytes === null ? {} : { bodyBytes }),
    tookMs: Math.round(tookMs * 10) / 10,
    ...(aborted ? { aborted } : {}),
    ...(upgrade === null ? {} : { upgrade }),
    ...(referer === null ? {} : { referer }),
    ...(userAgent === null ? {} : { userAgent }),
    ...(requestId === null ? {} : { requestId }),
    ...(traceId === null ? {} : { traceId }),
  };
}

function quoted(text: string | null): string {
  return text === null || text === '' ? '-' : escaped(text);
}

/** As nginx: quotes, backslashes, and all that is not printable ASCII, by their bytes. */
function escaped(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
  return text.replace(/["\\\u0000-\u001f]|[^\u0000-\u007e]/gu, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `27/Nov/2026:18:06:07 +0000`: in UTC, as the service's log is. */
function commonTime(at: number): string {
  const date = new Date(at);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${two(date.getUTCDate())}/${months[date.getUTCMonth()]}/${date.getUTCFullYear()}`;
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':');
  return `${day}:${time} +0000`;
}
