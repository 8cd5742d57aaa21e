import { setMaxListeners } from 'node:events';
import { type ClientRun, runClient } from './load-clients.js';
import { type LoadCounts, type LoadReport, type LoadWatch, Tally } from './load-tally.js';

export type { FailureKind, LoadCounts, LoadReport, LoadWatch, Loss } from './load-tally.js';

/**
 * - `keep-alive`: closed loop, the next request follows the answer at once (or after `pauseMs`).
 * - `per-connection`: a connection for each request, which says `Connection: close` itself.
 * - `slow-body`: POSTs a body in pieces, one each `pauseMs` (50 unless told), on kept connections.
 * - `pipelining`: `depth` requests (4 unless told) in one write, on kept connections.
 */
export type ClientKind = 'keep-alive' | 'per-connection' | 'slow-body' | 'pipelining';

export interface ClientGroup {
  readonly kind: ClientKind;
  /** Clients of this kind that run side by side. */
  readonly count: number;
  /** ms between an answer and the next request; between two pieces of a slow body. */
  readonly pauseMs?: number;
  /** Requests in one write of a pipelining client. */
  readonly depth?: number;
  /** Pieces of a slow body, 8 unless told. */
  readonly pieces?: number;
  /** Instead of the load's own. */
  readonly path?: string;
  readonly method?: string;
  readonly expectStatus?: number;
}

export interface LoadOptions {
  /** With it the load is stopped at the end of the test, so that a test that fails leaves none running. */
  readonly t?: { after(hook: () => Promise<unknown>): void };
  /** `http://127.0.0.1:3000/api/info`; or `port` (and `host`) or `socketPath`, with `path`. */
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly socketPath?: string;
  readonly path?: string;
  /** Over TLS: the certificate of the server, PEM, for `localhost`. */
  readonly ca?: string;
  readonly clients: readonly ClientGroup[];
  /** The status that counts as ok, 200 unless told. */
  readonly expectStatus?: number;
  /** ms until a request without a complete answer has failed, 60 s unless told; for connect() too. */
  readonly requestTimeout?: number;
  /** The load ends by itself after this many ms (10 min) or requests (500,000). */
  readonly maxMs?: number;
  readonly maxRequests?: number;
  readonly watch?: LoadWatch;
}

export interface Load {
  counts(): LoadCounts;
  /** Resolves once `n` more answers were ok than at this call. Rejects after `timeout` ms (300 s unless told). */
  reached(n: number, timeout?: number): Promise<LoadCounts>;
  /** Resolves once the counts satisfy `enough`. Rejects after `timeout` ms with the counts and the first failures. */
  until(enough: (counts: LoadCounts) => boolean, timeout?: number): Promise<LoadCounts>;
  /** Sends nothing more, waits for the answers that are due, closes and reports. May be called twice. */
  stop(): Promise<LoadReport>;
  /** The report of a load that is left to run to its bound. */
  ended(): Promise<LoadReport>;
}

/**
 * Starts a load against this machine only. Its accounting is strict: a request that was written to an
 * established connection and got no complete answer with the wanted status has failed. A kept connection that is
 * known to be closed (`Connection: close`, or a FIN that was there before the request was written) is not used
 * again; a FIN or reset that crosses a request counts as a failure.
 */
export function startLoad(options: LoadOptions): Load {
  const load = new RunningLoad(options);
  options.t?.after(() => load.stop());
  return load;
}

/** One line for an assertion's message. */
export function describeLoad(report: LoadReport): string {
  const { ok, failed, refused, unanswered, idleCloses, idleResets } = report;
  const counts = { ok, failed, refused, unanswered, idleCloses, idleResets };
  return [JSON.stringify(counts), ...report.examples].join('\n  ');
}

interface Waiter {
  readonly enough: (counts: LoadCounts) => boolean;
  readonly resolve: (counts: LoadCounts) => void;
}

class RunningLoad implements Load {
  readonly #tally: Tally;
  readonly #stop = new AbortController();
  readonly #waiters = new Set<Waiter>();
  readonly #maxRequests: number;
  readonly #timer: NodeJS.Timeout;
  readonly #done: Promise<void>;
  #cutShort: LoadReport['cutShort'] = null;

  constructor(options: LoadOptions) {
    const { maxMs = 600_000, maxRequests = 500_000 } = options;
    this.#maxRequests = maxRequests;
    this.#tally = new Tally(options.watch);
    // One listener for each client that pauses.
    setMaxListeners(0, this.#stop.signal);
    const runs = clientRuns(options, {
      tally: this.#tally,
      stop: this.#stop.signal,
      moved: () => this.#moved(),
    });
    this.#timer = setTimeout(() => this.#end('time'), maxMs);
    this.#done = Promise.all(runs.map(runClient)).then(() => {
      clearTimeout(this.#timer);
      this.#tally.end();
    });
  }

  counts(): LoadCounts {
    return this.#tally.counts();
  }

  reached(n: number, timeout?: number): Promise<LoadCounts> {
    const goal = this.counts().ok + n;
    return this.until(({ ok }) => ok >= goal, timeout);
  }

  until(enough: (counts: LoadCounts) => boolean, timeout = 300_000): Promise<LoadCounts> {
    return new Promise((resolve, reject) => {
      const late = () => {
        this.#waiters.delete(waiter);
        const { examples } = this.#tally.report(null);
        const words = [JSON.stringify(this.counts()), ...examples].join('\n  ');
        reject(new Error(`the load did not get there within ${timeout} ms: ${words}`));
      };
      const timer = setTimeout(late, timeout);
      const arrived = (counts: LoadCounts) => {
        clearTimeout(timer);
        resolve(counts);
      };
      const waiter: Waiter = { enough, resolve: arrived };
      this.#waiters.add(waiter);
      this.#moved();
    });
  }

  stop(): Promise<LoadReport> {
    this.#end(null);
    return this.ended();
  }

  async ended(): Promise<LoadReport> {
    await this.#done;
    return this.#tally.report(this.#cutShort);
  }

  #end(why: LoadReport['cutShort']): void {
    if (this.#stop.signal.aborted) return;
    this.#cutShort = why;
    this.#stop.abort();
  }

  #moved(): void {
    const counts = this.counts();
    if (counts.sent >= this.#maxRequests) this.#end('count');
    for (const waiter of this.#waiters) {
      if (!waiter.enough(counts)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(counts);
    }
  }
}

function clientRuns(options: LoadOptions, shared: Pick<ClientRun, 'tally' | 'stop' | 'moved'>): ClientRun[] {
  const { target, path } = address(options);
  const { expectStatus = 200, requestTimeout = 60_000 } = options;
  return options.clients.flatMap((group) =>
    Array.from({ length: group.count }, () => ({
      ...shared,
      target,
      requestTimeout,
      kind: group.kind,
      path: group.path ?? path,
      method: group.method ?? (group.kind === 'slow-body' ? 'POST' : 'GET'),
      expectStatus: group.expectStatus ?? expectStatus,
      pauseMs: group.pauseMs ?? (group.kind === 'slow-body' ? 50 : 0),
      depth: group.depth ?? 4,
      pieces: group.pieces ?? 8,
    })),
  );
}

function address({ url, host = '127.0.0.1', port, socketPath, path = '/', ca }: LoadOptions) {
  if (socketPath !== undefined) return { target: { socketPath }, path };
  const parsed = url === undefined ? null : new URL(url);
  const name = parsed?.hostname ?? host;
  if (!/^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/.test(name)) throw new Error(`not this machine: ${name}`);
  const target = {
    host: name.replace(/[[\]]/g, ''),
    port: parsed === null ? port : Number(parsed.port || 80),
    ca,
  };
  return { target, path: parsed === null ? path : parsed.pathname + parsed.search };
}
