import type { Millis } from './limits.js';
import type { WorkerKey } from './messages.js';

/*
 * Requests that a canary is asked once more, after an old worker has answered them: see docs/how-to/mirror.md. They go
 * from the old worker over the master to the canary (`sample`, `mirror-ask`), which compares, and tells the master what
 * differs (`mirrored`). Query strings and headers go no further than the canary.
 */

/** The field by which an app learns that a request is mirrored, and by which its answer refuses it. */
export const mirrorHeader = 'X-Rom-Agent-Mirror';
/** Value of the field in an answer that is not to be compared. */
export const refusedValue = 'refused';
/** What a rate limiter answers: the canary has taken too much, which says nothing about the release. */
export const tooManyRequests = 429;

/** Which requests may be mirrored: see `reload.mirror_routes` and `reload.mirror_credentials`. */
export interface MirrorRules {
  readonly routes: readonly string[];
  readonly credentials: boolean;
}

/** A request as the client sent it, without the fields that concern its connection. */
export interface MirrorRequest {
  readonly method: string;
  /** With its query. */
  readonly url: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
}

/** What is compared of an answer. */
export interface MirrorAnswer {
  readonly status: number;
  /** Content-Type without its parameters; null: none. */
  readonly type: string | null;
  /** Content-Length, bytes; null: it was not said. */
  readonly length: number | null;
  readonly tookMs: Millis;
}

/**
 * What the canary did. `refused`: its app does not want to be mirrored; `failed`: the connection was closed without an
 * answer; `hung`: no answer came within the limit, while requests that came later were answered; `late`: none did, and
 * the machine may be to blame.
 */
export type MirrorOutcome =
  | ({ readonly outcome: 'answered' | 'refused' } & MirrorAnswer & {
        /** Of `tookMs`, how long its thread waited for a CPU (Linux, schedstat); null: unknown. */
        readonly waitedMs: Millis | null;
      })
  | { readonly outcome: 'failed' | 'hung' | 'late' };

/** A request that both have answered, by its route. */
export interface MirrorPair {
  readonly method: string;
  readonly path: string;
  readonly old: MirrorAnswer;
  readonly canary: MirrorOutcome;
}

/** What workers say of it to the master. */
export type MirrorWorkerMessage =
  /** A canary that does not listen can be asked mirrored requests; `failure`: why it cannot. */
  | { readonly type: 'mirror-opened'; readonly failure: string | null }
  /** It has answered a request, which the canary `to` may be asked as well. */
  | {
      readonly type: 'sample';
      readonly to: WorkerKey;
      readonly request: MirrorRequest;
      readonly answer: MirrorAnswer;
    }
  /** The canary was asked such a request. */
  | { readonly type: 'mirrored'; readonly pair: MirrorPair };

/** What the master says of it to workers. */
export type MirrorMasterMessage =
  /** Get ready for mirrored requests, within so long: for a canary that does not listen. */
  | { readonly type: 'mirror-open'; readonly timeout: number }
  /** Tell the canary `to` of so many requests a second, for so long: see `sample`. */
  | {
      readonly type: 'mirror';
      readonly to: WorkerKey;
      readonly perSecond: number;
      readonly for: number;
      readonly rules: MirrorRules;
    }
  /** Answer what an old worker has answered. */
  | { readonly type: 'mirror-ask'; readonly request: MirrorRequest; readonly answer: MirrorAnswer };
