import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type RawResponse, ResponseReader } from './http-reader.js';

/** Where a server listens: a TCP port (on 127.0.0.1 unless told otherwise) or a unix socket. */
export interface Target {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly socketPath?: string | undefined;
  /** With it TLS is spoken on a TCP port: the certificate that is trusted, PEM, for `localhost`. */
  readonly ca?: string | undefined;
}

/**
 * Why a request that was sent has no answer.
 * `unanswered` is no fault of the server: the request was pipelined behind one whose answer said
 * `Connection: close`, so the client has to send it again elsewhere (RFC 9112 section 9.3.2 and 9.6).
 */
export type LossKind = 'reset' | 'eof' | 'timeout' | 'malformed' | 'unanswered';

export class RequestLost extends Error {
  readonly kind: LossKind;

  constructor(kind: LossKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

export class ConnectFailed extends Error {
  /** Nobody listens: ECONNREFUSED, or a unix socket that is not there. */
  readonly refused: boolean;

  constructor(cause: NodeJS.ErrnoException) {
    super(`connect: ${cause.code ?? cause.message}`, { cause });
    this.refused = cause.code === 'ECONNREFUSED' || cause.code === 'ENOENT';
  }
}

interface Pending {
  readonly resolve: (response: RawResponse) => void;
  readonly reject: (lost: RequestLost) => void;
  readonly timer: NodeJS.Timeout;
}

/** Rejects with ConnectFailed. `timeout` in ms. */
export function openConnection(target: Target, timeout: number): Promise<Connection> {
  const socket = socketTo(target);
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new ConnectFailed(error));
    };
    const timer = setTimeout(() => fail(new Error(`no answer within ${timeout} ms`)), timeout);
    socket.once('error', fail);
    socket.once(target.ca === undefined ? 'connect' : 'secureConnect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      resolve(new Connection(socket));
    });
  });
}

function socketTo({ socketPath, host = '127.0.0.1', port = 0, ca }: Target): Socket {
  if (socketPath !== undefined) return connect(socketPath);
  if (ca === undefined) return connect({ host, port, noDelay: true });
  return connectTls({ host, port, ca, servername: 'localhost' });
}

/** One established connection that knows what was sent on it and what came back. */
export class Connection {
  /** This side's port; null on a unix socket. */
  readonly port: number | null;
  /** Wall clock, ms since 1970. */
  readonly opened: number = Date.now();
  readonly #socket: Socket;
  readonly #reader = new ResponseReader();
  readonly #pending: Pending[] = [];
  #closing = false;
  #fault: string | null = null;
  #idle: 'fin' | 'reset' | null = null;
  #gone = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.port = socket.localPort ?? null;
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('end', () => this.#ended());
    socket.on('error', (error: NodeJS.ErrnoException) => this.#broken(error));
    socket.on('close', () => this.#ended());
  }

  /** Neither said `Connection: close` nor closed, as far as this side has heard. */
  get usable(): boolean {
    return !this.#closing && !this.#gone;
  }

  /** How the peer ended it while no request was on it and no close was announced; else null. */
  get idle(): 'fin' | 'reset' | null {
    return this.#idle;
  }

  /** What the peer sent although nothing was asked for: not HTTP, or an answer too many. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Writes without expecting anything: the pieces of a slow body. */
  write(bytes: string): void {
    if (!this.#gone && bytes !== '') this.#socket.write(bytes, 'latin1');
  }

  /** The answer to one request whose first bytes are written now. Rejects with RequestLost. `timeout` in ms. */
  request(bytes: string, timeout: number): Promise<RawResponse> {
    const answer = new Promise<RawResponse>((resolve, reject) => {
      const late = () => this.#fail('timeout', `no complete answer within ${timeout} ms${this.#soFar()}`);
      this.#pending.push({ resolve, reject, timer: setTimeout(late, timeout) });
    });
    this.write(bytes);
    if (this.#gone) this.#fail('eof', 'the connection was closed before');
    return answer;
  }

  /** Ends the connection. What is still asked for is lost at once: its timer would hold up the process. */
  close(): void {
    this.#gone = true;
    this.#socket.destroy();
    this.#rejectAll(new RequestLost('eof', 'closed by this side'));
  }

  #read(chunk: Buffer): void {
    if (this.#gone) return;
    try {
      for (const response of this.#reader.push(chunk)) this.#answered(response);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (this.#pending.length === 0) this.#fault = message;
      this.#fail('malformed', message);
    }
  }

  #answered(response: RawResponse): void {
    // What follows an announced close is not read (RFC 9112 section 9.6).
    if (this.#closing) return;
    const next = this.#pending.shift();
    // A 408 to an idle connection is a way to close it (RFC 9110 section 15.5.9).
    if (next === undefined && response.status === 408 && response.closing) this.#closing = true;
    else if (next === undefined) throw new Error(`an answer (${response.status}) that nobody asked for`);
    if (next === undefined) return;
    clearTimeout(next.timer);
    this.#closing = response.closing;
    next.resolve(response);
    if (this.#closing) this.#rejectAll(new RequestLost('unanswered', 'pipelined behind Connection: close'));
  }

  #ended(): void {
    if (this.#gone) return;
    const last = this.#reader.end();
    if (last !== null) this.#answered(last);
    this.#over('fin');
    this.#rejectAll(new RequestLost('eof', `closed by the server${this.#soFar()}`));
  }

  #broken(error: NodeJS.ErrnoException): void {
    if (this.#gone) return;
    this.#over('reset');
    this.#rejectAll(new RequestLost('reset', `${error.code ?? error.message}${this.#soFar()}`));
  }

  #over(how: 'fin' | 'reset'): void {
    this.#gone = true;
    if (this.#pending.length === 0 && !this.#closing) this.#idle = how;
  }

  #fail(kind: LossKind, message: string): void {
    this.#rejectAll(new RequestLost(kind, message));
    this.close();
  }

  #rejectAll(lost: RequestLost): void {
    for (const { reject, timer } of this.#pending.splice(0)) {
      clearTimeout(timer);
      reject(lost);
    }
  }

  #soFar(): string {
    return this.#reader.midway === 0 ? ', nothing came' : ', in the middle of an answer';
  }
}
