import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { cutAnswers } from './answers.js';
import type { Script, ServerName, Step } from './script.js';

/** Where the servers of one app listen. */
export interface Target {
  readonly ports: Readonly<Record<ServerName, number>>;
  readonly unix: string;
}

/** What a client has seen; times in ms of performance.now(). */
export interface Play {
  readonly bytes: Buffer;
  /** `open`: the server has not closed though nothing more was to come. */
  readonly end: 'fin' | 'reset' | 'refused' | 'open';
  readonly begunAt: number;
  readonly endedAt: number;
  /** Client or server were slower than the timeouts of the server "timeouts" allow: what it saw says nothing. */
  readonly wasLate: boolean;
  /** How long it took to send its first head, ms. */
  readonly headTook: number;
}

/** A machine that is busy with other things takes this long at times, ms. */
const patience = 60_000;
/** Half of the least timeout of the server "timeouts", ms. */
const latest = 1_200;

/** Plays one script over one connection. `from`: the client's address, of the network 127.0.0.0. */
export async function play(script: Script, target: Target, from?: string): Promise<Play> {
  if (script.beside === undefined) return new Player(connect(script, target, from)).play(script);
  const socket = connect(script, target, from);
  try {
    await new Player(socket).steps({ ...script, steps: [{ send: script.beside }, { answers: 1 }] });
    return await new Player(connect(script, target, from)).play(script);
  } finally {
    socket.destroy();
  }
}

function connect({ server }: Script, { ports, unix }: Target, localAddress?: string): Socket {
  if (server === 'unix') return connectTcp({ path: unix, allowHalfOpen: true });
  const address = { port: ports[server], host: '127.0.0.1', allowHalfOpen: true, noDelay: true };
  const options = localAddress === undefined ? address : { ...address, localAddress };
  return server === 'tls' ? connectTls({ ...options, rejectUnauthorized: false }) : connectTcp(options);
}

class Player {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  readonly #begunAt = performance.now();
  /** When the last byte came, or the connection was made. */
  #heardAt = 0;
  #answers = 0;
  /** Bytes that are no whole answer yet: how many there are, and how many it takes. */
  #left: Buffer[] = [];
  #size = 0;
  #lacks = 1;
  #end: Play['end'] = 'open';
  #endedAt = 0;
  #wasLate = false;
  /** Until the first head is sent. */
  #head = '';
  #headTook = 0;
  #changed = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#chunks.push(bytes);
      this.#left.push(bytes);
      this.#size += bytes.length;
      this.#heardAt = performance.now();
      this.#changed();
    });
    socket.on('end', () => {
      this.#ended('fin');
      socket.end();
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) =>
      this.#ended(code === 'ECONNREFUSED' ? 'refused' : 'reset'),
    );
    socket.on('close', () => this.#ended('reset'));
  }

  async #opened(): Promise<void> {
    let isOpen = false;
    this.#socket.once('secureConnect', () => {
      isOpen = true;
      this.#changed();
    });
    this.#socket.once('connect', () => {
      isOpen = !('encrypted' in this.#socket);
      this.#changed();
    });
    await this.#until(() => isOpen || this.#isOver());
    this.#heardAt = performance.now();
  }

  /** Until the last step, or until the server ends the connection. */
  async steps(script: Script): Promise<void> {
    await this.#opened();
    for (const step of script.steps) {
      if (this.#isOver()) break;
      await this.#do(step, script);
    }
  }

  async play(script: Script): Promise<Play> {
    await this.steps(script);
    await this.#until(() => this.#isOver());
    this.#socket.destroy();
    return {
      bytes: Buffer.concat(this.#chunks),
      end: this.#end,
      begunAt: this.#begunAt,
      endedAt: this.#endedAt,
      wasLate: this.#wasLate,
      headTook: this.#headTook,
    };
  }

  async #do(step: Step, script: Script): Promise<void> {
    const socket = this.#socket;
    if ('send' in step) {
      this.#wasLate ||= script.server === 'timeouts' && performance.now() - this.#heardAt > latest;
      if (!this.#head.includes('\r\n\r\n')) {
        this.#head += step.send;
        this.#headTook = performance.now() - this.#begunAt;
      }
      socket.write(step.send, 'latin1');
      // Bytes that are sent one by one are to arrive so.
      const since = performance.now();
      if (step.send.length === 1) await new Promise(setImmediate);
      this.#wasLate ||= script.server === 'timeouts' && performance.now() - since > latest;
    } else if ('answers' in step) {
      const since = performance.now();
      await this.#until(() => this.#isOver() || this.#count(script) >= step.answers);
      this.#wasLate ||= script.server === 'timeouts' && performance.now() - since > latest;
    } else if ('close' in step) await this.#until(() => this.#isOver());
    else if ('pause' in step) await sleep(step.pause);
    else if ('slowRead' in step) {
      socket.pause();
      setTimeout(() => socket.resume(), step.slowRead);
    } else if ('end' in step) socket.end();
    else if (script.server === 'tls' || script.server === 'unix') socket.destroy();
    else socket.resetAndDestroy();
  }

  /** The whole answers so far. */
  #count({ requests }: Script): number {
    if (this.#size < this.#lacks) return this.#answers;
    const bytes = Buffer.concat(this.#left);
    const { answers, used, lacks } = cutAnswers(bytes, requests.slice(this.#answers));
    this.#answers += answers.filter(({ isFinal }) => isFinal).length;
    this.#left = [bytes.subarray(used)];
    this.#size -= used;
    this.#lacks = lacks;
    return this.#answers;
  }

  /** Until it is so, or for as long as there is patience. */
  async #until(isSo: () => boolean): Promise<void> {
    const givenUp = Symbol('given up');
    const limit = new AbortController();
    const late = sleep(patience, givenUp, { signal: limit.signal }).catch(() => givenUp);
    while (!isSo()) {
      const change = new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
      if ((await Promise.race([change, late])) === givenUp) break;
    }
    limit.abort();
  }

  #isOver(): boolean {
    return this.#end !== 'open';
  }

  #ended(end: Play['end']): void {
    if (this.#isOver()) return;
    this.#end = end;
    this.#endedAt = performance.now();
    this.#changed();
  }
}
