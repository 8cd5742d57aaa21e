import type {
  Answer,
  ControlEvent,
  EvidenceAnswer,
  EvidenceFile,
  JobLog,
  ReloadAnswer,
  StackAnswer,
} from '../protocol/control-api.js';
import type { DeployAnswer, DeployLine, ReleasesAnswer } from '../protocol/deploy.js';
import type { FleetStats } from '../protocol/fleet.js';
import type { JobRun, JobStatus } from '../protocol/jobs.js';
import type { LogLine } from '../protocol/log-line.js';
import type { ClusterStats } from '../protocol/stats.js';
import type { WhyLine } from '../protocol/why.js';

/**
 * The HTTP API of the admin server, as its page uses it: the browser's code imports this file too. Times `atMs` are
 * wall clock, ms since 1970.
 */

/** Every POST bears this header: a form or a link of another site cannot set it. Its value is `1`. */
export const guardHeader = 'X-Rom-Agent';

/** `GET /api/state`: all that the page needs to begin with; the stream goes on from `lastEventId`. */
export interface AdminState {
  /** Of the service, as `rom-agent list` shows it; `rom-agent` where it has none. */
  readonly name: string;
  /** Of rom-agent, of this server; `stats.master.version` is the daemon's. */
  readonly version: string;
  /** The server's clock at the answer, to which all `atMs` belong. */
  readonly nowMs: number;
  /** Pass it as `/api/events?after=ID` to miss nothing in between. */
  readonly lastEventId: string;
  readonly daemon: DaemonState;
  /** The last known; null where the daemon has not been reached yet. */
  readonly stats: ClusterStats | null;
  /** The effective settings by key and where each comes from; empty while unknown. Times in ms, sizes in MiB. */
  readonly config: Readonly<Record<string, { readonly value: unknown; readonly from: string }>>;
  /**
   * The last hour, oldest first, at most 660. The last five minutes have one a second while somebody looks; what is older
   * has one for ten seconds: means of rates and shares, the most of delays and latencies.
   */
  readonly samples: readonly Sample[];
  /** The last hour, oldest first, at most 2,000. */
  readonly history: readonly HistoryEvent[];
  /** The workers' lives, from which their lanes are drawn; by start, oldest first, at most 500. */
  readonly lanes: readonly Lane[];
  /** The decisions of the last hour and their causes, oldest first, at most 1,000; empty where the daemon keeps none. */
  readonly why: readonly WhyLine[];
  /** The last 500 at most, oldest first. */
  readonly logs: readonly LogLine[];
  /** Where `logs` come from, in words: "the journal of rom-agent.service", and what is missing there. */
  readonly logSource: string;
  /** Newest first. */
  readonly evidence: readonly EvidenceFile[];
  readonly operations: Operations;
}

/** Whether the control socket answers. */
export interface DaemonState {
  readonly state: 'up' | 'lost';
  /** With `lost`: why, in words; otherwise null. */
  readonly reason: string | null;
  readonly sinceMs: number;
}

/** What is planned for the service and was done with it. */
export interface Operations {
  /** Empty where the configuration has none. */
  readonly jobs: readonly JobStatus[];
  /** Null where nothing is deployed by the daemon. */
  readonly deploys: ReleasesAnswer | null;
  /** Null for a host that is alone. */
  readonly fleet: FleetStats | null;
  /** What the last deploy that was begun from here has told, oldest first, at most 200. */
  readonly lines: readonly DeployTold[];
}

export interface DeployTold {
  /** Of the release. */
  readonly id: string;
  readonly line: DeployLine;
}

/** `GET /api/jobs/NAME/log?run=ID`; without `run` the last. */
export type JobHistory = JobLog;

export interface Sample {
  readonly atMs: number;
  readonly ready: number;
  readonly wanted: number;
  readonly requestsPerSecond: number;
  /** Responses with a status of 500 or more; null: unknown. */
  readonly errorsPerSecond: number | null;
  readonly inFlight: number;
  /** Since the sample before; null where there was no request, or where it is unknown. */
  readonly latencyMs: { readonly p50: number; readonly p90: number; readonly p99: number } | null;
  /** Mean of the workers, 0 to 1. */
  readonly eventLoopUtilization: number;
  /** 99th percentile of the worker that has the longest. */
  readonly eventLoopDelayMs: number;
  /** Of all workers and the master. */
  readonly rssBytes: number;
  /** Of all workers. */
  readonly heapUsedBytes: number;
  /** Restarts of workers since the master started. */
  readonly restarts: number;
  /** Empty in samples older than five minutes where there are more than 16 workers. */
  readonly workers: readonly WorkerSample[];
}

export interface WorkerSample {
  /** Number of the slot, from 1; null: a spare. */
  readonly id: number | null;
  readonly pid: number | null;
  readonly requestsPerSecond: number;
  readonly inFlight: number;
  /** 0 to 1 */
  readonly eventLoopUtilization: number;
  readonly eventLoopDelayMs: number;
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
}

export interface HistoryEvent {
  readonly atMs: number;
  readonly event: ControlEvent;
}

/** One process of a worker, from its fork to its end. */
export interface Lane {
  /** Number of the slot, from 1; null: a spare. */
  readonly worker: number | null;
  readonly pid: number | null;
  readonly generation: number;
  /** What it went through, oldest first; a phase lasts until the next one begins. */
  readonly phases: readonly LanePhase[];
  /** Null while it lives. */
  readonly endMs: number | null;
  /** How it ended; null while it lives, or where nobody saw it. */
  readonly ending: Extract<ControlEvent, { type: 'worker' }>['ending'];
}

export interface LanePhase {
  readonly phase: Exclude<Extract<ControlEvent, { type: 'worker' }>['phase'], 'gone'>;
  readonly fromMs: number;
  /** Why it drains or is killed, where that is a failure. */
  readonly reason: string | null;
}

export type { EvidenceFile, LogLine };

/**
 * `GET /api/events`: server-sent events, whose `event:` is the key and whose `data:` is the value's JSON. Ids are
 * `BOOT-NUMBER`; a reconnect with Last-Event-ID, or `?after=ID`, gets what came since, of the last 1,000. Where that is
 * no longer there, `reset` comes first, and the page asks for the state again.
 */
export interface AdminEvents {
  readonly reset: { readonly reason: string };
  readonly daemon: DaemonState;
  /** Each second, with `sample`. Neither has an id nor is sent again: the state has the last. */
  readonly stats: ClusterStats;
  readonly sample: Sample;
  readonly event: HistoryEvent;
  /** The lane whose worker an `event` was about, as it is now. */
  readonly lane: Lane;
  readonly log: LogLine;
  /** The whole list, where it has changed. */
  readonly evidence: readonly EvidenceFile[];
  /** The whole, where something of it has changed; its lines come as `deploy`. */
  readonly operations: Operations;
  readonly deploy: DeployTold;
}

export type AdminEventName = keyof AdminEvents;

/** Bodies of the POST routes, JSON. */
export interface AdminCommands {
  /** Answers as soon as it is accepted; steps and the record follow as `event`. */
  readonly '/api/reload': { readonly soak?: boolean; readonly rollback?: boolean };
  readonly '/api/abort': Readonly<Record<string, never>>;
  readonly '/api/scale': { readonly to: number } | { readonly add: number };
  /** N is the number of a slot, from 1. */
  readonly '/api/workers/N/restart': Readonly<Record<string, never>>;
  readonly '/api/workers/N/stack': Readonly<Record<string, never>>;
  /** Answers when the file is written. */
  readonly '/api/workers/N/profile': { readonly seconds?: number };
  readonly '/api/workers/N/heap-snapshot': Readonly<Record<string, never>>;
  /** Answers as soon as it is accepted; lines follow as `deploy`. */
  readonly '/api/deploy': { readonly ref?: string };
  readonly '/api/rollback': { readonly release?: string };
  readonly '/api/jobs/N/run': Readonly<Record<string, never>>;
}

/**
 * What they answer with: 200 and `accepted: true`, or 409 and `accepted: false` with the daemon's reason. 503: the daemon
 * is lost. Other errors: `{"error":{"status":400,"code":"bad_request","message":"..."}}`.
 */
export interface AdminAnswers {
  readonly '/api/reload': ReloadAnswer;
  readonly '/api/abort': Answer;
  readonly '/api/scale': Answer;
  readonly '/api/workers/N/restart': Answer;
  readonly '/api/workers/N/stack': StackAnswer;
  readonly '/api/workers/N/profile': NamedEvidence;
  readonly '/api/workers/N/heap-snapshot': NamedEvidence;
  readonly '/api/deploy': DeployAnswer;
  readonly '/api/rollback': DeployAnswer;
  readonly '/api/jobs/N/run': { readonly accepted: true; readonly run: JobRun } | Refused;
}

type Refused = { readonly accepted: false; readonly reason: string };

/** With the name under which `GET /api/evidence/NAME` has the file. */
export type NamedEvidence =
  | (Extract<EvidenceAnswer, { accepted: true }> & { readonly name: string })
  | Extract<EvidenceAnswer, { accepted: false }>;
