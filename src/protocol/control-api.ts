import type { Capture } from './capture.js';
import type { ReloadRecord, ReloadStep } from './reload-record.js';
import type { ClusterStats } from './stats.js';

/** The version of the routes; it is the first segment of every path. */
export const apiVersion = 'v1';

/** Every answer bears this header with `apiVersion`, by which a client knows whom it has reached. */
export const versionHeader = 'Rom-Agent-Control';

export const jsonType = 'application/json';
/** One JSON document a line; a blank line is a sign of life. */
export const linesType = 'application/x-ndjson';

/** A stream that has nothing else to say sends a blank line this often, ms. */
export const blankLineInterval = 15_000;

/** Bytes that the path of a unix socket may have: sun_path without its NUL, unix(7) and unix(4) of macOS. */
export const longestSocketPath = process.platform === 'linux' ? 107 : 103;

/** What the control socket can ask of the master, which hands it in. None of these rejects. */
export interface Commands {
  status(): ClusterStats;
  /** Resolves once it is accepted or refused; what comes of it arrives as events. */
  reload(options: ReloadOptions): Promise<ReloadAnswer>;
  abort(by: string): Promise<Answer>;
  scale(change: ScaleChange, by: string): Promise<Answer>;
  /** @param worker number of the slot, from 1 */
  restart(worker: number, by: string): Promise<Answer>;
  stop(by: string): void;
  /** What the worker does at this moment. */
  stack(worker: number, by: string): Promise<StackAnswer>;
  /** A file about the worker, for which it resolves once that is written. */
  profile(worker: number, seconds: number, by: string): Promise<EvidenceAnswer>;
  heapSnapshot(worker: number, by: string): Promise<EvidenceAnswer>;
  /** The last reloads, newest first, at most 50. */
  history(): readonly ReloadRecord[];
  /** The effective settings by key, as of the last reload, and where each comes from. Times in ms, sizes in MiB. */
  config(): Readonly<Record<string, { readonly value: unknown; readonly from: string }>>;
  /** @returns what ends the subscription */
  subscribe(listener: (event: ControlEvent) => void): () => void;
}

export interface ReloadOptions {
  readonly by: string;
  /** Whether the canary is watched for a while. */
  readonly soak: boolean;
  /** Without: workers are replaced whatever becomes of the new ones. */
  readonly rollback: boolean;
}

export type ReloadAnswer =
  | {
      readonly accepted: true;
      readonly message: string;
      /** See ReloadRecord. */
      readonly serial: number;
      readonly generation: number;
      /** Settings that were changed in the configuration, but that only a restart of the service brings into effect. */
      readonly needRestart: readonly string[];
    }
  | { readonly accepted: false; readonly reason: string };

/** @see Capture */
export type StackAnswer =
  | ({ readonly accepted: true; readonly worker: number; readonly pid: number } & Capture)
  | Refusal;

export type EvidenceAnswer =
  | {
      readonly accepted: true;
      /** Absolute, on the daemon's machine. */
      readonly path: string;
      readonly bytes: number;
    }
  | Refusal;

/** What came of a command. */
export type Answer =
  | { readonly accepted: true; readonly message: string }
  | { readonly accepted: false; readonly reason: string };

export type Refusal = Extract<Answer, { accepted: false }>;

export type ScaleChange = { readonly to: number } | { readonly add: number };

export interface WorkerEnding {
  /** `drained`: as it was to; `killed`: by the master, at a limit; the others as in DeathRecord. */
  readonly kind: 'drained' | 'killed' | 'boot' | 'crash' | 'hang';
  /** In words; null where the exit says it all. */
  readonly cause: string | null;
  /** Both null where there was no process. */
  readonly code: number | null;
  readonly signal: string | null;
  /** Requests that it left unanswered. */
  readonly lost: number;
}

/** What happens in the master, as it happens. */
export type ControlEvent =
  | { readonly type: 'step'; readonly generation: number; readonly step: ReloadStep }
  /** A reload is over, or the record of one that is over has changed. */
  | { readonly type: 'record'; readonly record: ReloadRecord }
  | {
      readonly type: 'worker';
      /** Number of the slot; null: a spare. */
      readonly worker: number | null;
      readonly pid: number | null;
      readonly generation: number;
      readonly phase: 'starting' | 'spare' | 'ready' | 'draining' | 'dying' | 'gone';
      /** Why it drains or is killed, where that is a failure. */
      readonly reason: string | null;
      /** With `gone`: what became of it. */
      readonly ending: WorkerEnding | null;
    }
  | {
      readonly type: 'service';
      readonly status: 'starting' | 'serving' | 'stopping';
      readonly wanted: number;
    };

/** What the daemon answers where it does not refuse. */
export type Found<A extends { readonly accepted: boolean }> = Omit<
  Extract<A, { accepted: true }>,
  'accepted'
>;

/** What a reload sends while it is in progress: its answer first, its record last. */
export type ReloadLine =
  | ({ readonly type: 'answer' } & Extract<ReloadAnswer, { accepted: true }>)
  | Extract<ControlEvent, { type: 'step' | 'record' }>;
