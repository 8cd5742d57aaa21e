import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { holdHeader } from './reports.js';

/** One request that the load sends. */
export interface Sample {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

/** What came of one request. */
export type Outcome =
  | { readonly kind: 'answered'; readonly status: number; readonly tookMs: number }
  /** A reused connection ended before any of the answer came: a client sends such a request again by itself (RFC 9112, 9.3.1). */
  | { readonly kind: 'cut' }
  /** Nobody listened. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'lost'; readonly why: string };

/** Requests under a load, each counted once. */
export interface LoadReport {
  readonly answered: number;
  /** Answered with a status from 500 on. */
  readonly failed: number;
  readonly refused: number;
  readonly lost: number;
  /** Sent again on a new connection, because the one that it was sent on had just been closed. */
  readonly resent: number;
  /** The first failed and lost ones, in words: `GET /report: socket hang up`. */
  readonly examples: readonly string[];
}

export interface LoadOptions {
  readonly target: Target;
  /** Sent in turn. */
  readonly samples: readonly Sample[];
  /** Clients with a connection that they keep. */
  readonly keepAlive: number;
  /** Clients with a connection for each request. */
  readonly perConnection: number;
  /** How long an answer may take, ms. */
  readonly timeout: number;
  /** Aborted: the clients end, whoever has started them. */
  readonly signal?: AbortSignal;
}

export interface Load {
  /** So far. */
  counts(): LoadReport;
  /** Sends no more, waits for what is under way, and tells what came of all. */
  stop(): Promise<LoadReport>;
}

/** Clients that send their next request once the last is answered. */
export function startLoad({ target, samples, keepAlive, perConnection, timeout, signal }: LoadOptions): Load {
  const counts = { answered: 0, failed: 0, refused: 0, lost: 0, resent: 0 };
  const examples: string[] = [];
  let stopped = false;
  let next = 0;
  const note = (sample: Sample, what: string): void => {
    if (examples.length < mostExamples) examples.push(`${sample.method} ${sample.path}: ${what}`);
  };
  const count = (sample: Sample, outcome: Outcome): void => {
    switch (outcome.kind) {
      case 'answered':
        counts.answered += 1;
        if (outcome.status < 500) return;
        counts.failed += 1;
        return note(sample, `status ${outcome.status}`);
      case 'refused':
        counts.refused += 1;
        return;
      case 'cut':
        counts.lost += 1;
        return note(sample, 'the connection was closed, and so was the next');
      case 'lost':
        counts.lost += 1;
        return note(sample, outcome.why);
    }
  };
  const client = async (agent: Agent | false): Promise<void> => {
    while (!stopped && signal?.aborted !== true) {
      const sample = samples[next++ % samples.length];
      if (sample === undefined) return;
      let outcome = await send(sample, { target, agent, timeout });
      if (outcome.kind === 'cut') {
        counts.resent += 1;
        outcome = await send(sample, { target, agent: false, timeout });
      }
      if (!stopped || outcome.kind !== 'refused') count(sample, outcome);
      if (outcome.kind === 'refused') await sleep(refusedPause);
    }
    if (agent !== false) agent.destroy();
  };
  const clients = [
    ...Array.from({ length: keepAlive }, () => client(new Agent({ keepAlive: true, maxSockets: 1 }))),
    ...Array.from({ length: perConnection }, () => client(false)),
  ];
  const report = (): LoadReport => ({ ...counts, examples: [...examples] });
  return {
    counts: report,
    stop: async () => {
      stopped = true;
      await Promise.all(clients);
      return report();
    },
  };
}

/** A request whose answer the app's process holds back for a while, on a connection of its own. */
export interface Held {
  readonly id: string;
  readonly sample: Sample;
  readonly outcome: Promise<Outcome>;
}

let lastHeld = 0;

export function hold(
  sample: Sample,
  { target, count, timeout }: { readonly target: Target; readonly count: number; readonly timeout: number },
): readonly Held[] {
  return Array.from({ length: count }, () => {
    const id = `h${++lastHeld}`;
    const headers = { ...sample.headers, [holdHeader]: id };
    return { id, sample, outcome: send({ ...sample, headers }, { target, agent: false, timeout }) };
  });
}

export interface Sending {
  readonly target: Target;
  readonly agent: Agent | false;
  /** ms, from the first byte that is sent to the last of the answer */
  readonly timeout: number;
}

/** Sends one request. Never rejects. */
export function send(
  { method, path, headers = {}, body = '' }: Sample,
  { target, agent, timeout }: Sending,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const began = performance.now();
    let answer: IncomingMessage | null = null;
    const outgoing = request({ ...target, method, path, headers: { ...lengthOf(body), ...headers }, agent });
    const late = setTimeout(() => {
      resolve({ kind: 'lost', why: `no answer within ${timeout} ms` });
      outgoing.destroy();
    }, timeout);
    const end = (outcome: Outcome): void => {
      clearTimeout(late);
      resolve(outcome);
    };
    const fail = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'ECONNREFUSED') return end({ kind: 'refused' });
      const isCut = outgoing.reusedSocket && answer === null && resets.has(error.code ?? '');
      end(isCut ? { kind: 'cut' } : { kind: 'lost', why: error.message });
    };
    outgoing.on('error', fail);
    outgoing.once('response', (incoming) => {
      answer = incoming;
      incoming.resume();
      incoming.once('error', fail);
      incoming.once('end', () =>
        end({ kind: 'answered', status: incoming.statusCode ?? 0, tookMs: performance.now() - began }),
      );
    });
    outgoing.end(body);
  });
}

const resets: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE']);
const mostExamples = 5;
/** How long a refused client waits before it tries again, ms. */
const refusedPause = 20;

function lengthOf(body: string): Readonly<Record<string, string>> {
  return body === '' ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
}
