import type { Choices } from './random.js';
import { cookieField, placeholders, type Request } from './script.js';

export interface Head {
  readonly method: string;
  readonly path: string;
  /** Besides Host and X-Token, each with its CRLF. */
  readonly fields?: string;
  readonly version?: string;
  readonly host?: string;
}

/** Writes the requests of one script, and remembers them in the order in which they are written. */
export class RequestWriter {
  readonly requests: Request[] = [];
  readonly #choices: Choices;
  #smuggled = 0;

  constructor(choices: Choices) {
    this.#choices = choices;
  }

  head({ method, path, fields = '', version = '1.1', host = 'Host: x\r\n' }: Head): string {
    const token = `${placeholders.play}r${this.requests.length}`;
    this.requests.push({ token, method });
    return `${method} ${path} HTTP/${version}\r\n${host}X-Token: ${token}\r\n${this.#moreFields()}${fields}\r\n`;
  }

  withLength(path: string, text: string, fields = ''): string {
    return this.head({ method: 'POST', path, fields: `${fields}Content-Length: ${text.length}\r\n` }) + text;
  }

  /** A request that nobody may execute: it stands where something else is expected. */
  smuggled(): string {
    const token = `${placeholders.play}x${this.#smuggled++}`;
    return `GET /smuggled HTTP/1.1\r\nHost: x\r\nX-Token: ${token}\r\n${cookieField}\r\n`;
  }

  /** Of printable characters, often with a request in it. */
  body(longest = 3_000): string {
    const text = this.#printable(this.#choices.int(0, longest));
    return this.#choices.chance(0.4) ? `${text}\r\n${this.smuggled()}` : text;
  }

  /** In chunks of any size, with extensions and trailers. */
  chunked(text: string): string {
    return `${this.chunksOf(text)}0\r\n${this.#choices.chance(0.4) ? `X-Trailer: ${this.#choices.int(0, 99)}\r\n` : ''}\r\n`;
  }

  /** Without the last one. */
  chunksOf(text: string): string {
    const chunks: string[] = [];
    for (let at = 0; at < text.length; ) {
      const size = this.#choices.int(1, Math.min(900, text.length - at));
      chunks.push(`${this.#sizeLine(size)}\r\n${text.slice(at, at + size)}\r\n`);
      at += size;
    }
    return chunks.join('');
  }

  #sizeLine(size: number): string {
    const hex = size.toString(16);
    const digits = this.#choices.chance(0.3) ? hex.toUpperCase().padStart(this.#choices.int(1, 4), '0') : hex;
    return (
      digits + (this.#choices.chance(0.3) ? this.#choices.pick([';a=b', ';name="quoted ; value"', ';x']) : '')
    );
  }

  #printable(length: number): string {
    return Array.from({ length }, () => String.fromCharCode(this.#choices.int(32, 126))).join('');
  }

  #moreFields(): string {
    const choices = this.#choices;
    return [
      choices.chance(0.2) ? `X-Long: ${'v'.repeat(choices.int(100, 6_000))}\r\n` : '',
      choices.chance(0.2) ? 'X-Two: 1\r\nX-Two: 2\r\n' : '',
      choices.chance(0.1) ? 'Accept:\r\n' : '',
      choices.chance(0.1) ? 'X-High: \xe4\xf6\xfc\r\n' : '',
      cookieField,
    ].join('');
  }
}

type Write = (writer: RequestWriter, choices: Choices) => string;

/** Each is answered once, with or without others before and behind it in the same bytes. */
export const goodRequests: Readonly<Record<string, Write>> = {
  get: (writer, choices) => writer.head({ method: 'GET', path: anyPath(choices) }),
  head: (writer, choices) =>
    writer.head({ method: 'HEAD', path: anyPath(choices).replace('/hints', '/echo') }),
  method: (writer, choices) => {
    const method = choices.pick(['DELETE', 'PUT', 'PATCH', 'PROPFIND', 'M-SEARCH', 'OPTIONS', 'TRACE']);
    return writer.head({ method, path: '/echo', fields: 'Content-Length: 0\r\n' });
  },
  asterisk: (writer) => writer.head({ method: 'OPTIONS', path: '*' }),
  absolute: (writer) => writer.head({ method: 'GET', path: 'http://example.test/echo?x=1' }),
  withLength: (writer, choices) =>
    writer.withLength(choices.pick(['/echo', '/early', '/lazy?ms=120', '/slow?ms=60']), writer.body()),
  long: (writer, choices) =>
    writer.withLength(
      choices.pick(['/echo', '/early', '/lazy?ms=200']),
      'q'.repeat(choices.int(60_000, 400_000)),
    ),
  chunked: (writer, choices) => {
    const path = choices.pick(['/echo', '/early', '/lazy?ms=90']);
    const head = writer.head({ method: 'POST', path, fields: 'Transfer-Encoding: chunked\r\n' });
    return head + writer.chunked(writer.body());
  },
  old: (writer, choices) => {
    // Without a length of its own an answer to HTTP/1.0 ends the connection.
    const path = choices.pick(['/big?cl=1&n=500', '/early']);
    return writer.head({ method: 'GET', path, fields: 'Connection: keep-alive\r\n', version: '1.0' });
  },
  keepAlive: (writer) =>
    writer.head({ method: 'GET', path: '/echo', fields: 'Connection: keep-alive, x\r\n' }),
};

/** A mistake, an attack, or what only looks like one: the server answers once, and may close. */
export const badRequests: Readonly<Record<string, Write>> = {
  chunkSize: (writer, choices) => {
    const head = writer.head({ method: 'POST', path: '/echo', fields: 'Transfer-Encoding: chunked\r\n' });
    const size = choices.pick(['zz', '-1', '5 5', '0x5', 'fffffffffffffffffff']);
    return `${head}${writer.chunksOf(writer.body(200))}${size}\r\nhello\r\n0\r\n\r\n`;
  },
  twoLengths: (writer) =>
    `${writer.head({ method: 'POST', path: '/echo', fields: 'Content-Length: 3\r\nContent-Length: 4\r\n' })}abcd`,
  lengthAndChunks: (writer) => {
    const fields = 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n';
    return writer.head({ method: 'POST', path: '/echo', fields }) + writer.chunked('abc');
  },
  otherCoding: (writer) =>
    `${writer.head({ method: 'POST', path: '/echo', fields: 'Transfer-Encoding: gzip\r\n' })}abc`,
  chunkedNotLast: (writer) => {
    const fields = 'Transfer-Encoding: chunked, identity\r\n';
    return writer.head({ method: 'POST', path: '/echo', fields }) + writer.chunked('abc');
  },
  bareLineFeeds: (writer) => writer.head({ method: 'GET', path: '/echo' }).replaceAll('\r\n', '\n'),
  fieldWithSpace: (writer) => writer.head({ method: 'GET', path: '/echo', fields: 'X Space: 1\r\n' }),
  spaceBeforeColon: (writer) => writer.head({ method: 'GET', path: '/echo', fields: 'X-Colon : 1\r\n' }),
  nul: (writer) => writer.head({ method: 'GET', path: '/echo', fields: 'X-Nul: a\0b\r\n' }),
  longField: (writer, choices) =>
    writer.head({
      method: 'GET',
      path: '/echo',
      fields: `X-Huge: ${'h'.repeat(choices.int(16_500, 40_000))}\r\n`,
    }),
  longPath: (writer) => writer.head({ method: 'GET', path: `/${'u'.repeat(20_000)}` }),
  method: (writer, choices) =>
    writer.head({ method: choices.pick(['GTE', 'get', 'GET\t', 'G']), path: '/echo' }),
  version: (writer, choices) =>
    writer.head({ method: 'GET', path: '/echo', version: choices.pick(['1.2', '2.0', '0.9', 'x']) }),
  noHost: (writer) => writer.head({ method: 'GET', path: '/echo', host: '' }),
  fold: (writer) =>
    writer.head({ method: 'GET', path: '/echo', fields: 'X-Fold: one\r\n two\r\n\tthree\r\n' }),
  foldBeforeLength: (writer) => {
    const text = writer.smuggled();
    const fields = `X-Fold: one\r\n two\r\nContent-Length: ${text.length}\r\n`;
    return writer.head({ method: 'POST', path: '/echo', fields }) + text;
  },
  signedLength: (writer) =>
    `${writer.head({ method: 'POST', path: '/echo', fields: 'Content-Length: +3\r\n' })}abc`,
  hugeLength: (writer) =>
    `${writer.head({ method: 'POST', path: '/echo', fields: 'Content-Length: 99999999999999999999\r\n' })}abc`,
  otherExpectation: (writer) =>
    writer.head({ method: 'GET', path: '/echo', fields: 'Expect: pigs-to-fly\r\n' }),
  tlsHello: () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n\r\n',
  http2Preface: () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
};

function anyPath(choices: Choices): string {
  return choices.pick([
    '/echo',
    '/echo',
    '/echo',
    '/',
    `/slow?ms=${choices.int(0, 250)}`,
    '/none?s=204',
    '/none?s=304',
    '/hints',
    `/big?n=${choices.int(0, 90_000)}`,
    `/big?cl=1&n=${choices.int(0, 90_000)}`,
    `/chunks?n=${choices.int(0, 8)}&ms=${choices.int(0, 25)}`,
    `/chunks?tr=1&n=${choices.int(0, 3)}&ms=1`,
    '/early',
  ]);
}
