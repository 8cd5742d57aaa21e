import type { Failure, WorkerKey } from './model.js';
import type { Beat } from './stats.js';

/** Everything that can happen to the master. */
export type Event =
  | { readonly type: 'start' }
  | { readonly type: 'forked'; readonly key: WorkerKey; readonly pid: number }
  | { readonly type: 'fork-failed'; readonly key: WorkerKey; readonly failure: Failure }
  | { readonly type: 'ready'; readonly key: WorkerKey; readonly urls: readonly string[] }
  /** The worker says why it is about to die. */
  | { readonly type: 'failed'; readonly key: WorkerKey; readonly failure: Failure }
  | { readonly type: 'beat'; readonly key: WorkerKey; readonly beat: Beat }
  /** The worker's listeners are closed. */
  | { readonly type: 'closed'; readonly key: WorkerKey }
  /** The worker has no connections left; the app's own ending follows. */
  | { readonly type: 'drained'; readonly key: WorkerKey }
  /** The worker's drain reached its deadline: what it had to cut. */
  | { readonly type: 'cut'; readonly key: WorkerKey; readonly requests: number; readonly connections: number }
  | {
      readonly type: 'exited';
      readonly key: WorkerKey;
      readonly code: number | null;
      readonly signal: string | null;
    }
  /** `now`: do not wait for the drain. */
  | { readonly type: 'stop'; readonly why: string; readonly now: boolean }
  | { readonly type: 'tick' };
