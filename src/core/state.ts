import type { Capture } from '../protocol/capture.js';
import type { DeathRecord, Failure, PoisonRecord } from '../protocol/death-record.js';
import type { Heartbeat } from '../protocol/heartbeat.js';
import type { Leak } from '../protocol/leak.js';
import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { Fingerprint, RequestNote } from '../protocol/requests.js';
import type { StallRecord } from '../protocol/stall.js';
import type { Health } from '../protocol/stats.js';
import type { Mirror } from './mirror.js';
import { freshTrend, type Scaling } from './scaling-state.js';
/** The whole of what the master knows. Immutable: every step returns a new one. */
export interface State {
  readonly life: Life;
  /** Another master serves on the same sockets, and accepts whatever becomes of this one. */
  readonly isBeside: boolean;
  /**
   * The proven generation: what a slot is filled with unless a reload is replacing it. A reload proves its generation by
   * its end, a reload without rollback at its beginning.
   */
  readonly generation: number;
  /** The reload that is under way. */
  readonly reload: Reload | null;
  /** What came of the one before; its counts may still change while workers that it replaced drain. */
  readonly lastReload: ReloadRecord | null;
  /** Connections ever accepted when the last reload began; null once its record is complete. */
  readonly acceptedBefore: number | null;
  /** The number of slots that was asked for while a reload is under way, to be done after it. */
  readonly pendingScale: number | null;
  readonly scaling: Scaling;
  readonly slots: readonly Slot[];
  readonly workers: readonly Worker[];
  readonly nextKey: WorkerKey;
  /** Unexpected deaths within the intensity's window. */
  readonly deaths: readonly Millis[];
  /** The last ones that nobody asked for, newest first. */
  readonly lastDeaths: readonly KeptDeath[];
  /** The last times that a worker's event loop was blocked, newest first. */
  readonly lastStalls: readonly KeptStall[];
  /** Kinds of requests that leave memory behind, the worst first. */
  readonly leaks: readonly Leak[];
  /** Kinds of requests that take much of the CPU or of the event loops. */
  readonly heavy: readonly string[];
  /** Requests that were in flight at deaths. */
  readonly suspects: readonly Suspect[];
  /** Deaths within the window that workers caused themselves, with something in flight. */
  readonly fatalities: readonly Fatality[];
  readonly mix: Mix;
  readonly cell: Cell;
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
  | Serving
  | Stopping
  | { readonly phase: 'ended'; readonly exitCode: number };

export interface Serving {
  readonly phase: 'serving';
  /** It will stop, and serves on until load balancers have noticed: `lame_duck`. */
  readonly leaving: Leaving | null;
}

export interface Leaving {
  readonly why: string;
  readonly since: Millis;
  /** When the drain begins. */
  readonly until: Millis;
}

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
  /** Another master serves, and the connections of this one may go on for a while: see the event `retire`. */
  readonly isPatient?: boolean;
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
  /** When its worker was last replaced because it was unhealthy, and whether the log knows that the next one is as well. */
  readonly treatedAt: Millis | null;
  readonly toldAgain: boolean;
  /** When its worker was last replaced because the memory was short. */
  readonly relievedAt: Millis | null;
  /** When a replacement was last begun because its worker had served for long: see recycle.ts. */
  readonly recycledAt: Millis | null;
}

export type Worker = {
  readonly key: WorkerKey;
  readonly generation: number;
  readonly pid: number | null;
  readonly forkedAt: Millis;
  /** Since when it has its slot: a spare gets it later than it is forked. */
  readonly placedAt: Millis;
  readonly vitals: Vitals;
  /** What it said was wrong before it died. */
  readonly failure: Failure | null;
  readonly heartbeat: Heartbeat | null;
} & WorkerPhase;

/** What a worker is there for. A spare takes the role of a slot when it is promoted. */
export type Role = InSlot | Spare;

export interface InSlot {
  readonly kind: 'slot';
  /** Number of the slot. */
  readonly slot: number;
}

export interface Spare {
  readonly kind: 'spare';
}

export type WorkerPhase =
  | {
      readonly phase: 'starting';
      readonly role: Role;
      readonly deadline: Millis;
      /** The port that another process has; null: it waits for none. */
      readonly waitsFor: number | null;
    }
  /** Booted, without a slot: it does not listen. */
  | { readonly phase: 'spare'; readonly role: Spare; readonly heartbeatAt: Millis }
  | { readonly phase: 'ready'; readonly role: InSlot; readonly since: Millis; readonly heartbeatAt: Millis }
  | Draining
  | {
      readonly phase: 'dying';
      readonly role: Role;
      readonly was: 'starting' | 'spare' | 'ready' | 'draining';
      readonly why: string;
      /** As in Draining. */
      readonly replacedIn: number | null;
    };

export interface Draining {
  readonly phase: 'draining';
  readonly role: Role;
  readonly heartbeatAt: Millis;
  /** When it is killed, should it not have ended by itself. */
  readonly deadline: Millis;
  /** The generation of the reload that replaced it, whose record has its losses; null where none did. */
  readonly replacedIn: number | null;
  /** Its listeners are closed. */
  readonly closed: boolean;
  /** Its connections are gone; the app's own ending runs. */
  readonly drained: boolean;
}

export interface KeptDeath extends DeathRecord {
  readonly key: WorkerKey;
  /** It said that it fails, and what it leaves unanswered is known at its exit only. */
  readonly awaitsExit: boolean;
}

/** A kind of request, and when workers died that had one in flight. */
export interface Suspect extends PoisonRecord {
  /** The number of deaths that the log was told last. */
  readonly told: number;
}

/** The worker that serves suspected requests, apart from the others: see cell.ts. */
export interface Cell {
  /** At most one of a generation starts or serves; others end. */
  readonly workers: readonly CellWorker[];
  /** Not before this is the next one forked; null: as soon as there is need. */
  readonly forkAt: Millis | null;
  /** Deaths in a row. */
  readonly failures: number;
  /** ... and in all, since the start. */
  readonly deaths: number;
}

export interface CellWorker {
  readonly key: WorkerKey;
  readonly generation: number;
  readonly pid: number | null;
  readonly forkedAt: Millis;
  readonly phase: 'starting' | 'ready' | 'draining' | 'dying';
  /** Since when it serves; null: it has not. */
  readonly readyAt: Millis | null;
  /** When it is killed, should it not listen, or have ended, by then; null: it serves, or is killed already. */
  readonly deadline: Millis | null;
  readonly heardAt: Millis;
  readonly heartbeat: Heartbeat | null;
  /** What it had in flight at its end, by its own account. */
  readonly lastWord: readonly RequestNote[] | null;
  /** Why it dies, where that is known before its exit. */
  readonly why: string | null;
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

/** When it was told, on the master's clock. */
export type KeptStall = StallRecord & { readonly at: Millis };

export function initialState({ seed }: { seed: number }): State {
  return {
    life: { phase: 'idle' },
    isBeside: false,
    generation: 1,
    reload: null,
    lastReload: null,
    acceptedBefore: null,
    pendingScale: null,
    scaling: { held: false, trend: freshTrend, accepted: 0, reading: null, last: null, cap: null },
    slots: [],
    workers: [],
    nextKey: 1,
    deaths: [],
    lastDeaths: [],
    lastStalls: [],
    leaks: [],
    heavy: [],
    suspects: [],
    fatalities: [],
    mix: noMix,
    cell: { workers: [], forkAt: null, failures: 0, deaths: 0 },
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

/** What the master keeps of a worker to judge how it does. */
export interface Vitals {
  readonly health: Health;
  /** The worst that the log was told of it since it was last healthy. */
  readonly told: Health;
  /** The last sign that it was in time; null where it is. */
  readonly slowSince: Millis | null;
  /** Heartbeats in a row with more heap than it should have. */
  readonly fullHeartbeats: number;
  /** Resident set of its first heartbeat since it was ready, bytes. */
  readonly firstRss: number | null;
  /** When it last answered a request, or began to listen. */
  readonly provedAt: Millis | null;
  readonly silence: Silence | null;
  /** Until when nobody expects a heartbeat from it. */
  readonly excusedUntil: Millis;
  /** What it had in flight at its end, by its own account. */
  readonly lastWord: readonly RequestNote[] | null;
  readonly pace: Pace;
  /** Share of about a heartbeat's interval in which its event loop was busy, 0 to 1; null: it has not served for so long. */
  readonly utilization: number | null;
  /** Since when it sheds load, what it had shed before, and when it last did; null: it serves every request. */
  readonly shedding: { readonly since: Millis; readonly before: number; readonly at: Millis } | null;
}

/** It has been silent for so long that somebody went to see what it does. */
export interface Silence {
  readonly askedAt: Millis;
  /** null: nothing is known yet. */
  readonly capture: Capture | null;
  /** How long it was silent, where it has spoken again since. */
  readonly ended: Millis | null;
}

/** How fast a worker answers: its requests per second between two heartbeats about a second apart. */
export interface Pace {
  /** The heartbeat that the rate is reckoned from, and the requests that it told of; null: there was none yet. */
  readonly at: Millis | null;
  readonly requests: number;
  readonly perSecond: number;
}

export const noPace: Pace = { at: null, requests: 0, perSecond: 0 };

export const freshVitals: Vitals = {
  health: 'healthy',
  told: 'healthy',
  slowSince: null,
  fullHeartbeats: 0,
  firstRss: null,
  provedAt: null,
  silence: null,
  excusedUntil: 0,
  lastWord: null,
  pace: noPace,
  utilization: null,
  shedding: null,
};

/**
 * How common each kind of request is: what is often in flight is often in flight at a death, and is no more to blame for
 * it. Samples of the workers' heartbeats, the older ones counting less.
 */
export interface Mix {
  readonly sampledAt: Millis;
  /** Samples of a worker with something in flight. */
  readonly inFlight: number;
  /** Requests that were sampled as they began: what is answered at once is seldom in flight at a heartbeat. */
  readonly begun: number;
  readonly kinds: readonly Kind[];
}

interface Kind extends Fingerprint {
  /** Samples in which one was in flight, and how many of the sampled requests were of it. */
  readonly inFlight: number;
  readonly begun: number;
}

/** A death with the number of its requests in flight. */
export interface Fatality {
  readonly at: Millis;
  readonly inFlight: number;
}

export const noMix: Mix = { sampledAt: 0, inFlight: 0, begun: 0, kinds: [] };

/** When a worker last had to give away or to take connections. */
export interface Moved {
  readonly key: WorkerKey;
  readonly at: Millis;
}

/** A reload that is under way. */
export interface Reload {
  readonly target: number;
  readonly startedAt: Millis;
  /** False where the new generation counts as proven from the start. */
  readonly rollback: boolean;
  readonly soak: boolean;
  readonly stage: Stage;
  /** Connections ever accepted when it began. */
  readonly acceptedBefore: number;
  readonly record: ReloadRecord;
}

export type Stage =
  /** The first worker of the new generation starts, beside the old ones. */
  | { readonly name: 'canary'; readonly key: WorkerKey }
  | Mirror
  | Soak
  /** One slot after another gets a worker of the new generation, and then loses its old one. */
  | { readonly name: 'rolling' }
  /** Every slot gets back a worker of the proven generation, and then loses its new one. */
  | { readonly name: 'rollback'; readonly reason: string };

/** The canary serves, and is compared with the others. */
export interface Soak {
  readonly name: 'soak';
  readonly key: WorkerKey;
  readonly until: Millis;
  /** When heartbeats are asked for next. */
  readonly askAt: Millis;
  /** When its probe must have been answered; null once it was. */
  readonly probeBy: Millis | null;
  /** What the others had done when it began. */
  readonly before: readonly { readonly key: WorkerKey; readonly heartbeat: Heartbeat }[];
}
