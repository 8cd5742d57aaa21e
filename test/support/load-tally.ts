import type { ClientKind } from './load.js';

/** What went wrong with a request that was sent, or with a connection that was not merely refused. */
export type FailureKind = 'connect' | 'reset' | 'eof' | 'timeout' | 'malformed' | 'status';

/** Hears of each request as it ends. */
export interface LoadWatch {
  /** One with the wanted status: its body. */
  answered?(body: string): void;
  /** One that has none: counted in `failed` or in `refused`. */
  lost?(loss: Loss): void;
}

export interface Loss {
  readonly client: ClientKind;
  readonly kind: FailureKind | 'refused';
  /** What it was sent on; null where there was no connection. */
  readonly connection: { readonly port: number | null; readonly opened: number } | null;
}

export interface LoadCounts {
  /** Requests written to an established connection. Once stopped: sent = ok + failed + unanswered. */
  readonly sent: number;
  /** Complete answers with the wanted status. */
  readonly ok: number;
  /** Requests without one, and connects that failed in another way than being refused (these are not in `sent`). */
  readonly failed: number;
  /** connect() refused: nobody listens. */
  readonly refused: number;
  /** Pipelined behind an answer with `Connection: close`; to be sent again, which the client does (RFC 9112 9.3.2). */
  readonly unanswered: number;
}

export interface LoadReport extends LoadCounts {
  readonly connections: number;
  /** Answers that said `Connection: close`. */
  readonly announcedCloses: number;
  /** Idle connections that the server ended properly, and with a reset. No request was on them. */
  readonly idleCloses: number;
  readonly idleResets: number;
  /** How many failures of which kind. */
  readonly failures: Readonly<Partial<Record<FailureKind, number>>>;
  /** The first three of each kind of failure, in words. */
  readonly examples: readonly string[];
  readonly byClient: Readonly<Partial<Record<ClientKind, { ok: number; failed: number }>>>;
  /** Answers by the `pid` that their JSON body names. */
  readonly byPid: ReadonlyMap<number, number>;
  /** Of the answers that were ok, ms. NaN where there was none. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
  /** s */
  readonly seconds: number;
  /** The load ended by itself at its bound on time or count, before `stop()`. */
  readonly cutShort: 'time' | 'count' | null;
}

interface Failed {
  readonly client: ClientKind;
  readonly kind: FailureKind;
  readonly message: string;
  readonly connection?: Loss['connection'];
}

/** The books of one load. Every request that is sent ends in exactly one of ok, failed and unanswered. */
export class Tally {
  readonly #started = performance.now();
  readonly #failures = new Map<FailureKind, number>();
  readonly #examples: string[] = [];
  readonly #byClient = new Map<ClientKind, { ok: number; failed: number }>();
  readonly #byPid = new Map<number, number>();
  readonly #latencies: number[] = [];
  #failed = 0;
  #ended: number | null = null;
  sent = 0;
  refused = 0;
  unanswered = 0;
  connections = 0;
  announcedCloses = 0;
  idleCloses = 0;
  idleResets = 0;
  readonly #watch: LoadWatch;

  constructor(watch: LoadWatch = {}) {
    this.#watch = watch;
  }

  ok({ client, body, ms }: { client: ClientKind; body: string; ms: number }): void {
    this.#client(client).ok += 1;
    this.#latencies.push(ms);
    const pid = /"pid"\s*:\s*(\d+)/.exec(body)?.[1];
    if (pid !== undefined) this.#byPid.set(Number(pid), (this.#byPid.get(Number(pid)) ?? 0) + 1);
    this.#watch.answered?.(body);
  }

  refuse(client: ClientKind): void {
    this.refused += 1;
    this.#watch.lost?.({ client, kind: 'refused', connection: null });
  }

  fail({ client, kind, message, connection = null }: Failed): void {
    const before = this.#failures.get(kind) ?? 0;
    this.#failures.set(kind, before + 1);
    this.#failed += 1;
    this.#client(client).failed += 1;
    const at = Math.round(performance.now() - this.#started);
    if (before < 3) this.#examples.push(`${kind} (${client}, at ${at} ms): ${message}`);
    this.#watch.lost?.({ client, kind, connection });
  }

  counts(): LoadCounts {
    const { sent, refused, unanswered } = this;
    return { sent, ok: this.#latencies.length, failed: this.#failed, refused, unanswered };
  }

  end(): void {
    this.#ended ??= performance.now();
  }

  report(cutShort: LoadReport['cutShort']): LoadReport {
    const { connections, announcedCloses, idleCloses, idleResets } = this;
    const sorted = this.#latencies.toSorted((a, b) => a - b);
    return {
      ...this.counts(),
      connections,
      announcedCloses,
      idleCloses,
      idleResets,
      failures: Object.fromEntries(this.#failures),
      examples: [...this.#examples],
      byClient: Object.fromEntries(this.#byClient),
      byPid: this.#byPid,
      latency: { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: sorted.at(-1) ?? Number.NaN },
      seconds: ((this.#ended ?? performance.now()) - this.#started) / 1000,
      cutShort,
    };
  }

  #client(kind: ClientKind): { ok: number; failed: number } {
    const known = this.#byClient.get(kind) ?? { ok: 0, failed: 0 };
    this.#byClient.set(kind, known);
    return known;
  }
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}
