import type { Readable } from 'node:stream';
import type { Capture } from './capture.js';
import type { DeployAnswer, DeployLine, DeployOptions, ReleasesAnswer, RollbackOptions } from './deploy.js';
import type { FleetStats, RolloutLine } from './fleet.js';
import type { JobLine, JobRun, JobStatus } from './jobs.js';
import type { LogLine, LogSource } from './log-line.js';
import type { MetricsSnapshot } from './metrics.js';
import type { FailedJobsAnswer, QueuesAnswer } from './queues.js';
import type { ReloadRecord, ReloadStep } from './reload-record.js';
import type { StallRecord } from './stall.js';
import type { ClusterStats } from './stats.js';
import type { UpgradeLine, UpgradeOptions } from './upgrade.js';
import type { Why, WhyQuery } from './why.js';

/** The version of the routes; it is the first segment of every path. */
export const apiVersion = 'v1';

/** Every answer bears this header with `apiVersion`, by which a client knows whom it has reached. */
export const versionHeader = 'Rom-Agent-Control';

export const jsonType = 'application/json';
/** One JSON document a line; a blank line is a sign of life. */
export const linesType = 'application/x-ndjson';
export const bytesType = 'application/octet-stream';

/** A stream that has nothing else to say sends a blank line this often, ms. */
export const blankLineInterval = 15_000;

/** Bytes that the path of a unix socket may have: sun_path without its NUL, unix(7) and unix(4) of macOS. */
export const longestSocketPath = process.platform === 'linux' ? 107 : 103;

/** What the control socket can ask of the master, which hands it in. None of these rejects. */
export interface Commands {
  status(): ClusterStats;
  /**
   * Resolves once it is accepted or refused; what comes of it arrives as events.
   *
   * @param onHeld hears which host of the fleet it waits for, where the fleet reloads one at a time
   */
  reload(options: ReloadOptions, onHeld?: (host: string) => void): Promise<ReloadAnswer>;
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
  /** The files that the two before and the workers' deaths have left, newest first. */
  evidenceFiles(): Promise<readonly EvidenceFile[]>;
  /** Null where there is no file of this name. */
  evidenceFile(name: string): Promise<EvidenceContent | null>;
  /** Where the log is, and the master's last own lines, oldest first. */
  logs(): { readonly source: LogSource; readonly lines: readonly LogLine[] };
  /** Hears of each line that the master writes from now on. @returns what ends it */
  followLog(listener: (line: LogLine) => void): () => void;
  /** Tells everybody that `[notify]` names, as a test. */
  notify(by: string): Promise<NotifyAnswer>;
  /** Resolves once it is accepted or refused; `onLine` hears of what comes of it, last of its record or plan. */
  deploy(options: DeployOptions, onLine: (line: DeployLine) => void): Promise<DeployAnswer>;
  /** The same with a release that is there. */
  rollback(options: RollbackOptions, onLine: (line: DeployLine) => void): Promise<DeployAnswer>;
  /** Has another process take the place of this one. Resolves once it is accepted or refused; the last line has the verdict. */
  upgrade(options: UpgradeOptions, onLine: (line: UpgradeLine) => void): Promise<Answer>;
  releases(): Promise<({ readonly accepted: true } & ReleasesAnswer) | Refusal>;
  /** For a process of the app that finds nobody at the backplane's socket. */
  startBackplane(by: string): Promise<Answer>;
  /** What the queues of the app have. */
  queues(): Promise<({ readonly accepted: true } & QueuesAnswer) | Refusal>;
  failedJobs(
    queue: string,
    limit: number,
  ): Promise<({ readonly accepted: true } & FailedJobsAnswer) | Refusal>;
  retryJob(job: { readonly queue: string; readonly id: string }, by: string): Promise<Answer>;
  /** The last reloads, newest first, at most 50. */
  history(): readonly ReloadRecord[];
  /** What was decided lately, and from what cause. */
  why(query: WhyQuery): Promise<Why>;
  /** The effective settings by key, as of the last reload, and where each comes from. Times in ms, sizes in MiB. */
  config(): Readonly<Record<string, { readonly value: unknown; readonly from: string }>>;
  /** What the workers and the master have counted: asks them. */
  metrics(): Promise<MetricsSnapshot>;
  /** The hosts of the fleet; a refusal where there is none, or the backplane does not answer. */
  fleet(): Promise<FleetAnswer>;
  /** Goes over the hosts of the fleet. Resolves once it is over, or refused; each line is heard before. */
  rollout(options: RolloutOptions, onLine: (line: RolloutLine) => void): Promise<Answer>;
  readonly jobs: JobCommands;
  /** @returns what ends the subscription */
  subscribe(listener: (event: ControlEvent) => void): () => void;
}

/** What can be asked about jobs. */
export interface JobCommands {
  /** Waits until they have been read. */
  list(): Promise<readonly JobStatus[]>;
  /** Runs a job now. @returns the id of the run; null: there is no such job */
  run(job: string, by: string): Promise<string | null>;
  /** What a run writes, and its end as the last line. @returns what ends it; null: no such run is under way */
  follow(id: string, listener: (line: JobLine) => void): (() => void) | null;
  /** Newest first, those under way included; null: there is no such job. */
  runs(job: string): Promise<readonly JobRun[] | null>;
  output(run: JobRun): Promise<string>;
}

/** The runs of a job, and the output of one. */
export interface JobLog {
  /** Newest first. */
  readonly runs: readonly JobRun[];
  /** That whose output this is; null: there is none yet. */
  readonly run: JobRun | null;
  readonly output: string;
}

export interface ReloadOptions {
  readonly by: string;
  /** Whether the canary is watched for a while. */
  readonly soak: boolean;
  /** Without: workers are replaced whatever becomes of the new ones. */
  readonly rollback: boolean;
}

/** What every host of the fleet is to do, one after the other. */
export interface RolloutOptions {
  readonly by: string;
  readonly kind: 'reload' | 'deploy';
  /** Of a reload. */
  readonly soak: boolean;
  /** Of a deploy; without: what each host's configuration says. */
  readonly ref?: string | undefined;
}

export type FleetAnswer = ({ readonly accepted: true } & FleetStats) | Refusal;

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

/** What came of one way to tell somebody. */
export interface NotifyResult {
  /** In words, without what is secret: "the webhook at https://hooks.example". */
  readonly target: string;
  /** null: told. */
  readonly failure: string | null;
  readonly tookMs: number;
}

export type NotifyAnswer = { readonly accepted: true; readonly results: readonly NotifyResult[] } | Refusal;

/** A file below `evidence` in the state directory. */
export interface EvidenceFile {
  /** A name without a folder. */
  readonly name: string;
  readonly kind: 'profile' | 'heap-snapshot' | 'other';
  /** Number of the slot; null: the name does not say it. */
  readonly worker: number | null;
  readonly bytes: number;
  /** When it was last written, ms since 1970. */
  readonly atMs: number;
}

export interface EvidenceContent {
  readonly bytes: number;
  readonly content: Readable;
}

/** What came of a command. */
export type Answer =
  | { readonly accepted: true; readonly message: string }
  | { readonly accepted: false; readonly reason: string };

export type Refusal = Extract<Answer, { accepted: false }>;

/** `auto`: the number follows the load again. */
export type ScaleChange = { readonly to: number } | { readonly add: number } | { readonly auto: true };

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
  /** The event loop of a worker was blocked; see `health.stall_report`. */
  | ({ readonly type: 'stall' } & StallRecord)
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
  /** It waits while this host of the fleet reloads. */
  | { readonly type: 'waits'; readonly host: string }
  /** Instead of all that follows, where it was refused after it had waited. */
  | { readonly type: 'refused'; readonly reason: string }
  | ({ readonly type: 'answer' } & Extract<ReloadAnswer, { accepted: true }>)
  | Extract<ControlEvent, { type: 'step' | 'record' }>;
