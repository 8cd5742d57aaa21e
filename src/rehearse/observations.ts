import type { ReloadRecord } from '../protocol/reload-record.js';
import type { StallRecord } from '../protocol/stall.js';
import type { DeathSummary } from '../protocol/stats.js';
import type { LoadReport, Sample } from './load.js';
import type { Allocation, BootShare, Report } from './reports.js';
import type { Exit } from './sandbox.js';

/** The acts of a rehearsal, in the order in which they are played. */
export const acts = [
  'boot',
  'load',
  'leak',
  'reload',
  'scale',
  'kill',
  'hang',
  'memory',
  'cut',
  'stop',
  'sigterm',
] as const;
export type Act = (typeof acts)[number];

/** What was seen in an act. Times are in ms. */
export type Observation =
  | Boot
  | Traffic
  | Leak
  | Reload
  | Scale
  | Kill
  | Hang
  | Memory
  | Cut
  | Stop
  | Sigterm
  | Skipped
  | Broken;

/** It could not be played to its end. */
export interface Broken {
  readonly act: Act;
  readonly broken: string;
  /** The last lines of the daemon, where that has ended; null: it runs. */
  readonly lastLines: readonly string[] | null;
}

/** It was not played. */
export interface Skipped {
  readonly act: Act;
  readonly skipped: string;
}

export interface Boot {
  readonly act: 'boot';
  /** null: it does not serve. */
  readonly bootMs: number | null;
  /** What the app's process said last, where it does not serve. */
  readonly output: readonly string[];
  /** Where it is slow: what the time went into. */
  readonly shares: readonly BootShare[];
  /** How many times slower than usual this machine starts a process; at least 1. */
  readonly machineFactor: number;
  /** As the configuration has it, for which the time of a reload is told. */
  readonly configuredWorkers: number;
}

export interface Traffic {
  readonly act: 'load';
  readonly paths: readonly Looked[];
  readonly load: LoadReport;
  readonly stalls: readonly StallRecord[];
  readonly deaths: readonly DeathSummary[];
  readonly uncaught: readonly Uncaught[];
}

export type Uncaught = Extract<Report, { type: 'uncaught' }>;

/** A path that was asked for alone, some times. */
export interface Looked {
  readonly sample: Sample;
  /** Null: no answer came. */
  readonly statuses: readonly (number | null)[];
  /** What became of the last request without an answer, in words; null: there was none. */
  readonly failure: string | null;
  /** Without the first, in which things are loaded. */
  readonly tookMs: readonly number[];
}

export interface Leak {
  readonly act: 'leak';
  /** The heaps of all workers after each, with all garbage collected; the first is the state before. */
  readonly rounds: readonly { readonly requests: number; readonly heapBytes: number }[];
  /** What was allocated meanwhile and is still there, the largest first. */
  readonly allocations: readonly Allocation[];
  /** Paths that are too slow to be asked often enough. */
  readonly leftOut: readonly Sample[];
}

/** Requests that were in flight for certain when the harm came. */
export interface HeldResult {
  readonly sample: Sample;
  readonly count: number;
  readonly answered: number;
  /** What became of the others, in words. */
  readonly lost: readonly string[];
}

export interface Reload {
  readonly act: 'reload';
  readonly record: ReloadRecord;
  readonly load: LoadReport;
  readonly held: HeldResult;
  /** What kept workers running that were cut off after the app's handlers, as Node names it: `Timeout`. */
  readonly endless: readonly string[];
  /** After which a worker is cut off. */
  readonly drainTimeoutMs: number;
  readonly handlers: readonly Handler[];
}

export type Handler = Extract<Report, { type: 'handler' }>;

export interface Scale {
  readonly act: 'scale';
  readonly load: LoadReport;
  /** null: the workers did not become so many. */
  readonly tookMs: number | null;
  readonly upTo: number;
}

/** One worker was harmed, and another takes its place. */
interface Harm {
  readonly load: LoadReport;
  /** From the harm to full strength; null: it did not come. */
  readonly tookMs: number | null;
  readonly deaths: readonly DeathSummary[];
}

export interface Kill extends Harm {
  readonly act: 'kill';
  readonly held: HeldResult;
}

export interface Hang extends Harm {
  readonly act: 'hang';
  readonly hangTimeoutMs: number;
}

export interface Memory extends Harm {
  readonly act: 'memory';
}

export interface Cut {
  readonly act: 'cut';
  readonly variable: string;
  /** Whether the app had connections through the proxy. */
  readonly connections: number;
  readonly paths: readonly CutPath[];
  readonly deaths: readonly DeathSummary[];
  /** From the end of the cut to answers as before; null: they did not come. */
  readonly recoveredMs: number | null;
}

/** What a path does while the dependency is silent. */
export interface CutPath {
  readonly sample: Sample;
  /** Null: no answer within the limit. */
  readonly status: number | null;
  readonly tookMs: number;
}

export interface Stop {
  readonly act: 'stop';
  readonly load: LoadReport;
  readonly held: HeldResult;
  /** null: it did not end. */
  readonly exit: Exit | null;
  readonly tookMs: number;
  /** As in Reload. */
  readonly endless: readonly string[];
  readonly drainTimeoutMs: number;
  readonly handlers: readonly Handler[];
  /** Processes that it left behind, by name. */
  readonly left: readonly string[];
  readonly webSocket: WebSocketEnd | null;
}

/** How a WebSocket ended: with a Close frame and its code, or without. */
export interface WebSocketEnd {
  readonly path: string;
  readonly code: number | null;
}

export interface Sigterm {
  readonly act: 'sigterm';
  readonly held: HeldResult;
  readonly handlers: readonly Handler[];
  /** What the process did about its own end, in this order. */
  readonly endings: readonly Extract<Report, { type: 'exit' | 'cut' }>[];
  /** null: it had not ended after `limitMs`, and was killed. */
  readonly exit: Exit | null;
  readonly tookMs: number;
  readonly limitMs: number;
}
