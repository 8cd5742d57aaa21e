import type { Millis } from './limits.js';

/** What is kept of a reload, for the history, the stats and the operator. */
export interface ReloadRecord {
  /** Counts the reloads of this service, from 1, over restarts of the daemon; generations begin anew with each. */
  readonly serial: number;
  readonly generation: number;
  /** The generation that it was to replace. */
  readonly from: number;
  /** What it was to serve. */
  readonly release: string;
  readonly by: string;
  /** Wall clock, ms since 1970. */
  readonly atMs: number;
  /** From the request to the verdict; null while it is under way. */
  readonly tookMs: Millis | null;
  readonly steps: readonly ReloadStep[];
  /** Connections that the service accepted until the replaced workers had gone, as of the workers' last heartbeats. */
  readonly accepted: number;
  /** Requests in flight when their worker stopped accepting, which it then went on to answer. */
  readonly moved: number;
  /** Of these, and of those on workers of the new generation that died: what was cut. */
  readonly lost: number;
  readonly verdict: Verdict | null;
  /** Why it was rolled back or stopped. */
  readonly reason: string | null;
}

/** A record without its steps. */
export type ReloadSummary = Omit<ReloadRecord, 'steps'>;

/**
 * `done`: the new generation serves; `rolled-back`: the old one does, again, or `reason` says what keeps it from that;
 * `superseded`: another reload took over from one that did not get on; `stopped`: the service ended first.
 */
export type Verdict = 'done' | 'rolled-back' | 'superseded' | 'stopped';

export interface ReloadStep {
  /** Since the reload's beginning. */
  readonly atMs: Millis;
  readonly step:
    | 'begun'
    | 'forked'
    | 'mirror'
    | 'mirrored'
    | 'ready'
    | 'probed'
    | 'soaked'
    | 'draining'
    | 'died'
    | 'rollback'
    | 'verdict';
  readonly worker: number | null;
  readonly generation: number | null;
  readonly detail: string;
}
