import type { Json, Owner } from '../engine.js';

/** What the journal has: each record says what has happened, and a snapshot says it with as few of them as it takes. */
export type JournalRecord =
  | JobRecord
  /** Handed to a handler: its attempt counts from now on. */
  | { readonly type: 'start'; readonly queue: string; readonly id: string; readonly owner: Owner | null }
  /** It was not handed over after all: that attempt does not count. */
  | { readonly type: 'back'; readonly queue: string; readonly id: string }
  | { readonly type: 'done'; readonly queue: string; readonly id: string; readonly atMs: number }
  /** `dueMs` null: it was the last attempt. */
  | {
      readonly type: 'fail';
      readonly queue: string;
      readonly id: string;
      readonly atMs: number;
      readonly dueMs: number | null;
      readonly error: string;
    }
  | { readonly type: 'retry'; readonly queue: string; readonly id: string }
  /** Snapshots only: how many were completed, and the ids that are still known, each with its time. */
  | {
      readonly type: 'completed';
      readonly queue: string;
      readonly count: number;
      readonly ids: readonly (readonly [string, number])[];
    }
  | {
      readonly type: 'set';
      readonly key: string;
      readonly value: Json;
      readonly version: number;
      readonly untilMs: number | null;
    }
  | { readonly type: 'delete'; readonly key: string }
  /** Snapshots only. */
  | { readonly type: 'version'; readonly version: number }
  /** No token above this one was given away yet. */
  | { readonly type: 'tokens'; readonly limit: number }
  | { readonly type: 'lock'; readonly name: string; readonly token: number; readonly untilMs: number }
  | { readonly type: 'unlock'; readonly name: string; readonly token: number };

/** A job as it was added, and in a snapshot as it is. */
export interface JobRecord {
  readonly type: 'job';
  readonly queue: string;
  readonly id: string;
  readonly name: string | null;
  readonly data: Json;
  readonly attempts: number;
  readonly backoffMs: number;
  readonly dueMs: number;
  readonly priority: number;
  readonly addedAtMs: number;
  /** Attempts that were begun. */
  readonly made: number;
  readonly failure?: { readonly atMs: number; readonly error: string };
}
