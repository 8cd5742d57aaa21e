/**
 * What is said over the backplane's unix socket: lines of JSON in both directions. A client begins with `hello`; each request
 * has an `id` of its own, and its answer has the same. Docs: docs/reference/app-api.md.
 */
export const socketVersion = 1;

/** Of a line, characters: a longer one ends the connection. */
export const longestLine = 16 * 1024 * 1024;
/** Of a line of the backplane: a job has more around its data than the request that added it. */
export const longestReply = longestLine + 64 * 1024;

export interface HeldOverSocket {
  readonly queue: string;
  readonly id: string;
  readonly attempt: number;
}

/** The names of the requests, and of the fields of each. `end` has no answer: `settled` is. */
export type Request =
  | {
      readonly op: 'hello';
      readonly version: number;
      readonly owner: { readonly id: string; readonly pid: number };
      readonly holding: readonly HeldOverSocket[];
    }
  | { readonly op: 'add'; readonly queue: string; readonly job: object }
  | { readonly op: 'work'; readonly work: number; readonly queue: string; readonly concurrency: number }
  | { readonly op: 'unwork'; readonly work: number }
  | { readonly op: 'end'; readonly job: HeldOverSocket; readonly error?: string }
  | { readonly op: 'queues' }
  | { readonly op: 'counts'; readonly queue: string }
  | { readonly op: 'failed'; readonly queue: string; readonly limit: number }
  | { readonly op: 'retry'; readonly queue: string; readonly job: string }
  | { readonly op: 'get'; readonly key: string }
  | {
      readonly op: 'set';
      readonly key: string;
      readonly value: unknown;
      readonly ttlMs?: number;
      readonly ifVersion?: number;
    }
  | { readonly op: 'delete'; readonly key: string }
  | { readonly op: 'increment'; readonly key: string; readonly by: number; readonly ttlMs?: number }
  | { readonly op: 'acquire'; readonly name: string; readonly ttlMs: number; readonly waitMs: number }
  | { readonly op: 'extend'; readonly name: string; readonly token: number; readonly ttlMs: number }
  | { readonly op: 'release'; readonly name: string; readonly token: number }
  | { readonly op: 'publish'; readonly channel: string; readonly message: unknown }
  | { readonly op: 'subscribe'; readonly channel: string }
  | { readonly op: 'unsubscribe'; readonly channel: string }
  | { readonly op: 'health' };

export type Op = Request['op'];

/** What the backplane says. */
export type Reply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly code: string; readonly message: string }
  /** A job to be handled, of that `work`. */
  | { readonly push: 'job'; readonly work: number; readonly job: object }
  /** What came of it is saved, or it is no longer this client's. */
  | { readonly push: 'settled'; readonly job: HeldOverSocket }
  | { readonly push: 'message'; readonly channel: string; readonly message: unknown }
  /** Of a line that is no request; the connection ends. */
  | { readonly push: 'error'; readonly message: string };
