import type { Effect } from '../../src/core/effects.js';
import type { Event } from '../../src/core/events.js';
import type { Capture } from '../../src/protocol/capture.js';
import type { Failure } from '../../src/protocol/death-record.js';
import type { Heartbeat } from '../../src/protocol/heartbeat.js';
import type { Millis } from '../../src/protocol/limits.js';
import type { WorkerKey } from '../../src/protocol/messages.js';
import type { MirrorOutcome } from '../../src/protocol/mirror.js';
import type { RequestNote } from '../../src/protocol/requests.js';
import type { PolicyPart } from './sim-policy.js';

/** How a simulated worker behaves. Times are in ms; everything that is not said goes well. */
export interface Play {
  /** No process is to be had. */
  readonly forkFails?: Failure;
  /** From the fork until it listens, 100 unless told; null: never. */
  readonly boot?: Millis | null;
  /** Dies instead of listening, so long after its fork, after having said why where there is something to say. */
  readonly bootFailure?: Death;
  /** Dies so long after it was ready. */
  readonly crash?: Death;
  /** Its app closes its server so long after it was ready, of which it tells the master, and goes on. */
  readonly deaf?: Millis;
  /** Falls silent so long after it was ready (a spare: after it had booted), and obeys nothing from then on. */
  readonly hang?: Millis;
  /** From there until it goes on as if nothing had been. */
  readonly recovers?: Millis;
  /** What is found out about it while it is silent, and how long that takes, 75 ms unless told. */
  readonly capture?: Partial<Capture>;
  readonly captureTakes?: Millis;
  /** Whether it answers a request of its own; it does unless told. */
  readonly proves?: boolean;
  /** From the drain's begin until its connections are gone, 50 unless told; null: it is cut at the deadline. */
  readonly drain?: Millis | null;
  /** Does not even obey SIGKILL. */
  readonly immortal?: boolean;
  readonly inFlight?: number;
  /** Those in flight by name; `inFlight` is then their number. */
  readonly requests?: readonly RequestNote[];
  /** What is else in its heartbeats, so long after it was ready. */
  readonly heartbeat?: (served: Millis) => Partial<Heartbeat>;
  readonly requestsPerSecond?: number;
  /** Share of the answers that fail, and how long each takes, ms. */
  readonly errors?: number;
  readonly latency?: Millis;
  /** What is wrong with its answer to a probe; null: it gives none. */
  readonly probe?: string | null;
  /** Why it cannot be asked mirrored requests; it can unless told. */
  readonly unmirrored?: string;
  /** What it answers to the nth mirrored request, from 1; null: nothing comes of it. Status 200 in 3 ms unless told. */
  readonly mirrored?: (nth: number) => MirrorOutcome | null;
  /** Written to clients, which is progress while it drains. */
  readonly bytesPerSecond?: number;
}

export interface Death {
  readonly after: Millis;
  readonly code?: number;
  readonly signal?: string;
  readonly failure?: Failure;
  /** Processes that the kernel killed for memory meanwhile. */
  readonly oomKills?: number;
  /** What it says that it has in flight, at its end. */
  readonly lastWord?: readonly RequestNote[];
}

export interface Fork {
  readonly key: WorkerKey;
  /** null: a spare, or the cell. */
  readonly slot: number | null;
  readonly isCell: boolean;
  readonly generation: number;
  /** The how manieth worker of this slot, or the how manieth cell, from 1. */
  readonly nth: number;
}

export interface SimOptions {
  readonly policy?: PolicyPart;
  readonly seed?: number;
  /** How each worker behaves; all goes well unless told. */
  readonly play?: (fork: Fork) => Play;
  /** How many connections wait to be accepted; none unless told. */
  readonly queue?: () => number | null;
}

export interface Turn {
  readonly at: Millis;
  readonly event: Event;
  readonly effects: readonly Effect[];
}

/** A request; its number is given. */
export type Question = AskedEvent extends infer E
  ? E extends AskedEvent
    ? Omit<E, 'request'>
    : never
  : never;
type AskedEvent = Extract<Event, { request: number }>;

export interface ReloadOptions {
  readonly by?: string;
  readonly soak?: boolean;
  readonly rollback?: boolean;
  /** The next one unless told. */
  readonly generation?: number;
}
