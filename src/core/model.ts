import type { DeathRecord, Failure, PoisonRecord } from '../protocol/death-record.js';
import type { Beat } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { Moved } from './balance.js';
import { type Fatality, type Mix, noMix } from './base-rate.js';
import type { Reload } from './reload-model.js';
import type { Vitals } from './vitals.js';

/** The whole of what the master knows. Immutable: every step returns a new one. */
export interface State {
  readonly life: Life;
  /** The last generation that proved itself: what a slot is filled with unless a reload is replacing it. */
  readonly generation: number;
  /** The reload that is under way. */
  readonly reload: Reload | null;
  /** What came of the one before; its counts may still change while workers that it replaced drain. */
  readonly lastReload: ReloadRecord | null;
  /** Connections ever accepted when the last reload began; null once its record is complete. */
  readonly acceptedBefore: number | null;
  /** The number of slots that was asked for while a reload is under way, to be done after it. */
  readonly pendingScale: number | null;
  readonly slots: readonly Slot[];
  readonly workers: readonly Worker[];
  readonly nextKey: WorkerKey;
  /** Unexpected deaths within the intensity's window. */
  readonly deaths: readonly Millis[];
  /** The last ones that nobody asked for, newest first. */
  readonly lastDeaths: readonly KeptDeath[];
  /** Requests that were in flight at deaths. */
  readonly suspects: readonly Suspect[];
  /** Deaths within the window that workers caused themselves, with something in flight. */
  readonly fatalities: readonly Fatality[];
  readonly mix: Mix;
  readonly spares: Spares;
  readonly pressure: Pressure;
  readonly watchdog: Watchdog;
  /** Restarts of workers since the start. */
  readonly restarts: number;
  readonly startedAt: Millis;
  readonly tickedAt: Millis;
  readonly timers: Timers;
  /** Workers that gave away or took connections: see balance.ts. */
  readonly moved: readonly Moved[];
  /** The STATUS told last, so that the same one is not told twice. */
  readonly status: string;
  readonly traffic: Traffic;
  /** State of the generator of jitter: the same inputs give the same outputs. */
  readonly seed: number;
}

export type Life =
  | { readonly phase: 'idle' }
  | { readonly phase: 'starting' }
  | { readonly phase: 'serving' }
  | Stopping
  | { readonly phase: 'ended'; readonly exitCode: number };

export interface Stopping {
  readonly phase: 'stopping';
  readonly why: string;
  readonly since: Millis;
  /** When the workers that are left are killed. */
  readonly deadline: Millis;
  readonly exitCode: number;
  /** Every listener is closed, and the workers know it. */
  readonly released: boolean;
  /** When the workers that were left were killed. */
  readonly killedAt: Millis | null;
}

/** A place for one worker. It outlives the processes that fill it. */
export interface Slot {
  /** From 1. */
  readonly id: number;
  readonly restarts: number;
  /** Crashes in a row, and deaths before listening in a row: each has its own backoff. */
  readonly crashes: number;
  readonly bootFailures: number;
  /** When the next worker is to be forked; null where none is due. */
  readonly forkAt: Millis | null;
  /** The worker that must be gone before the next is forked, since there is no memory for both. */
  readonly forkAfter: WorkerKey | null;
  /** When its worker was last replaced because it was sick, and whether the log knows that the next one is as well. */
  readonly treatedAt: Millis | null;
  readonly toldAgain: boolean;
  /** When its worker was last replaced because the memory was short. */
  readonly relievedAt: Millis | null;
}

export type Worker = {
  readonly key: WorkerKey;
  /** 0 as long as it is a spare. */
  readonly slot: number;
  readonly generation: number;
  readonly pid: number | null;
  readonly forkedAt: Millis;
  /** Since when it has its slot: a spare gets it later than it is forked. */
  readonly placedAt: Millis;
  readonly vitals: Vitals;
  /** What it said was wrong before it died. */
  readonly failure: Failure | null;
  readonly beat: Beat | null;
} & WorkerPhase;

export type WorkerPhase =
  | { readonly phase: 'starting'; readonly deadline: Millis }
  /** Booted, without a slot: it does not listen. */
  | { readonly phase: 'spare'; readonly beatAt: Millis }
  | { readonly phase: 'ready'; readonly since: Millis; readonly beatAt: Millis }
  | Draining
  | {
      readonly phase: 'dying';
      readonly was: 'starting' | 'spare' | 'ready' | 'draining';
      readonly why: string;
      /** As in Draining. */
      readonly reload: number | null;
    };

export interface Draining {
  readonly phase: 'draining';
  readonly beatAt: Millis;
  /** When it is killed, should it not have ended by itself. */
  readonly deadline: Millis;
  /** The generation of the reload that replaced it, whose record has its losses; null where none did. */
  readonly reload: number | null;
  /** Its listeners are closed. */
  readonly closed: boolean;
  /** Its connections are gone; the app's own ending runs. */
  readonly drained: boolean;
}

export interface KeptDeath extends DeathRecord {
  readonly key: WorkerKey;
  /** It said that it fails, and what it leaves unanswered is known at its exit only. */
  readonly isOpen: boolean;
}

/** A kind of request, and when workers died that had one in flight. */
export interface Suspect extends PoisonRecord {
  /** The number of deaths that the log was told last. */
  readonly told: number;
}

export interface Spares {
  /** Their number as of the policy. */
  readonly wanted: number;
  /** Not before this is the next one forked; null: as soon as there is need. */
  readonly forkAt: Millis | null;
  /** Deaths of spares in a row. */
  readonly failures: number;
}

/** What is being done about a cgroup that runs out of memory. */
export interface Pressure {
  /** Readings in a row that were too high. */
  readonly readings: number;
  /** The slot whose worker is being replaced for it. */
  readonly slot: number | null;
  /** Nobody else is replaced before this. */
  readonly quietUntil: Millis;
  /** When the log was told that a replacement would not help; null: not yet, or not since it was not short. */
  readonly helplessAt: Millis | null;
}

export interface Watchdog {
  /** When a quorum of the workers was last known to answer. */
  readonly quorumAt: Millis;
  readonly withheld: boolean;
}

export interface Timers {
  readonly extendAt: Millis;
  readonly pingAt: Millis;
  /** When workers are asked for proofs; null: they have been, for the next ping. */
  readonly proveAt: Millis | null;
  readonly statusAt: Millis;
  readonly statisticsAt: Millis;
}

/** Requests and connections of workers that are gone, and a rate over the last interval. */
export interface Traffic {
  readonly gone: number;
  readonly acceptedGone: number;
  readonly sampledAt: Millis;
  readonly sampled: number;
  readonly perSecond: number;
}

export function initialState({ seed }: { seed: number }): State {
  return {
    life: { phase: 'idle' },
    generation: 1,
    reload: null,
    lastReload: null,
    acceptedBefore: null,
    pendingScale: null,
    slots: [],
    workers: [],
    nextKey: 1,
    deaths: [],
    lastDeaths: [],
    suspects: [],
    fatalities: [],
    mix: noMix,
    spares: { wanted: 0, forkAt: null, failures: 0 },
    pressure: { readings: 0, slot: null, quietUntil: 0, helplessAt: null },
    watchdog: { quorumAt: 0, withheld: false },
    restarts: 0,
    startedAt: 0,
    tickedAt: 0,
    timers: { extendAt: 0, pingAt: 0, proveAt: null, statusAt: 0, statisticsAt: 0 },
    moved: [],
    status: '',
    traffic: { gone: 0, acceptedGone: 0, sampledAt: 0, sampled: 0, perSecond: 0 },
    seed,
  };
}
