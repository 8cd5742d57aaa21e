/** One complete HTTP/1.1 response as it came over the wire. */
export interface RawResponse {
  readonly status: number;
  /** Names in lower case; values that came more than once are joined with a comma. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** The server will answer nothing more on this connection (RFC 9112 section 9.3 and 9.6). */
  readonly closing: boolean;
}

interface Head {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly closing: boolean;
}

/** Cuts a stream of bytes into HTTP/1.1 responses. Knows no sockets. HEAD is not supported. */
export class ResponseReader {
  #bytes: Buffer = Buffer.alloc(0);
  #head: Head | null = null;

  /** Bytes of a response that is not complete yet. */
  get midway(): number {
    return this.#bytes.length + (this.#head === null ? 0 : 1);
  }

  /** The responses that `chunk` completed. Throws an Error for what is not HTTP/1.1. */
  push(chunk: Buffer): RawResponse[] {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    const complete: RawResponse[] = [];
    for (let next = this.#next(); next !== null; next = this.#next()) complete.push(next);
    return complete;
  }

  /** The peer closed: this completes a body without a length, and nothing else (RFC 9112 section 6.3). */
  end(): RawResponse | null {
    const head = this.#head;
    if (head === null || framing(head) !== 'until-close') return null;
    return this.#take(head, this.#bytes, this.#bytes.length);
  }

  #next(): RawResponse | null {
    this.#head ??= this.#readHead();
    const head = this.#head;
    if (head === null) return null;
    const frame = framing(head);
    if (frame === 'until-close') return null;
    if (frame === 'chunked') return this.#chunked(head);
    return this.#bytes.length < frame ? null : this.#take(head, this.#bytes.subarray(0, frame), frame);
  }

  #readHead(): Head | null {
    for (;;) {
      const end = this.#bytes.indexOf('\r\n\r\n');
      if (end === -1) return null;
      const head = parseHead(this.#bytes.toString('latin1', 0, end));
      this.#bytes = this.#bytes.subarray(end + 4);
      // 1xx is an announcement, the answer follows.
      if (head.status >= 200 || head.status === 101) return head;
    }
  }

  #chunked(head: Head): RawResponse | null {
    const parts: Buffer[] = [];
    let at = 0;
    for (;;) {
      const line = this.#bytes.indexOf('\r\n', at);
      if (line === -1) return null;
      const size = Number.parseInt(this.#bytes.toString('latin1', at, line), 16);
      if (Number.isNaN(size)) throw new Error('a chunk without a size');
      if (size === 0) break;
      parts.push(this.#bytes.subarray(line + 2, line + 2 + size));
      at = line + 2 + size + 2;
      if (at > this.#bytes.length) return null;
    }
    // The last chunk's line is followed by trailers, as a rule none, and an empty line.
    const end = this.#bytes.indexOf('\r\n\r\n', at);
    return end === -1 ? null : this.#take(head, Buffer.concat(parts), end + 4);
  }

  #take(head: Head, body: Buffer, used: number): RawResponse {
    this.#bytes = this.#bytes.subarray(used);
    this.#head = null;
    return { ...head, body: body.toString('utf8') };
  }
}

function parseHead(text: string): Head {
  const [statusLine = '', ...fields] = text.split('\r\n');
  const match = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(statusLine);
  if (match === null) throw new Error(`not a status line: ${JSON.stringify(statusLine.slice(0, 60))}`);
  const headers = parseFields(fields);
  const connection = (headers.get('connection') ?? '').toLowerCase().split(/\s*,\s*/);
  const old = match[1] === '0' && !connection.includes('keep-alive');
  const head = { status: Number(match[2]), headers, closing: old || connection.includes('close') };
  return framing(head) === 'until-close' ? { ...head, closing: true } : head;
}

function parseFields(lines: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new Error(`not a header field: ${JSON.stringify(line.slice(0, 60))}`);
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

function framing({ status, headers }: Pick<Head, 'status' | 'headers'>): 'chunked' | 'until-close' | number {
  if (status === 204 || status === 304) return 0;
  if (/\bchunked$/i.test(headers.get('transfer-encoding') ?? '')) return 'chunked';
  const length = headers.get('content-length');
  if (length === undefined) return 'until-close';
  if (!/^\d+$/.test(length)) throw new Error(`not a Content-Length: ${JSON.stringify(length)}`);
  return Number(length);
}
