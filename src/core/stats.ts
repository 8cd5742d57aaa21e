import type { Millis } from '../protocol/limits.js';
import type { ReloadRecord, ReloadSummary } from '../protocol/reload-record.js';
import type {
  ClusterStats,
  DeathSummary,
  PoisonSummary,
  PublicReload,
  PublicStats,
  WorkerStats,
} from '../protocol/stats.js';
import { perSecond } from './health.js';
import { currentRecord } from './record.js';
import { findSlot } from './slots.js';
import type { KeptDeath, State, Suspect, Worker } from './state.js';
import { requestsServed, servedSlots, total, waitingSpares } from './status.js';
import { slotOf } from './workers.js';

/** One death says nothing about a request. */
const deathsToTell = 2;

export type MasterFacts = Omit<ClusterStats['master'], 'uptime'>;

export interface Surroundings {
  readonly now: Millis;
  readonly kind: ClusterStats['kind'];
  readonly mode: string;
  readonly master: MasterFacts;
  /** Of reloads that are over, newest first. */
  readonly records: readonly ReloadRecord[];
}

/** The master's view of the service, for the control socket. */
export function clusterStats(state: State, { now, kind, mode, master, records }: Surroundings): ClusterStats {
  return {
    status: serviceStatus(state.life),
    kind,
    mode,
    generation: state.generation,
    wanted: state.slots.length,
    ready: servedSlots(state),
    restarts: state.restarts,
    requests: requestsServed(state),
    requestsPerSecond: Math.round(state.workers.reduce((sum, worker) => sum + rateOf(worker, now), 0)),
    inFlight: total(state, 'inFlight'),
    master: { ...master, uptime: wholeSeconds(now - state.startedAt) },
    // Spares first.
    workers: [...state.workers]
      .sort((a, b) => (slotOf(a) ?? 0) - (slotOf(b) ?? 0) || a.key - b.key)
      .map((worker) => workerStats(state, worker, now)),
    lastReload: state.reload === null ? state.lastReload : currentRecord(state, state.reload),
    reloads: records.map(({ steps, ...summary }) => summary),
    spares: { wanted: state.spares.wanted, ready: waitingSpares(state) },
    deaths: state.lastDeaths.map((death) => deathSummary(death, now)),
    poison: state.suspects
      .filter(({ deaths }) => deaths.length >= deathsToTell)
      .map((suspect) => poisonSummary(suspect, now)),
  };
}

/** What of it `GET /api/cluster/stats` answers. */
export function publicStats({ deaths, poison, lastReload, reloads, ...rest }: ClusterStats): PublicStats {
  return {
    ...rest,
    lastReload: lastReload === null ? null : publicReload(lastReload),
    reloads: reloads.map(publicReload),
  };
}

function publicReload(record: ReloadSummary): PublicReload {
  const { serial, generation, from, at, took, accepted, moved, lost, verdict } = record;
  return { serial, generation, from, at, took, accepted, moved, lost, verdict };
}

function deathSummary({ key, awaitsExit, at, ...death }: KeptDeath, now: Millis): DeathSummary {
  return { ...death, ago: wholeSeconds(now - at) };
}

function poisonSummary({ method, route, deaths, blockedUntil }: Suspect, now: Millis): PoisonSummary {
  return {
    method,
    route,
    deaths: deaths.length,
    ago: wholeSeconds(now - (deaths.at(-1) ?? now)),
    blockedFor: blockedUntil === null ? 0 : Math.ceil(Math.max(0, blockedUntil - now) / 1000),
  };
}

function workerStats(state: State, worker: Worker, now: Millis): WorkerStats {
  const { heartbeat } = worker;
  const slot = slotOf(worker);
  return {
    id: slot,
    pid: worker.pid,
    phase: worker.phase,
    health: worker.vitals.health,
    generation: worker.generation,
    uptime: wholeSeconds(now - worker.forkedAt),
    restarts: slot === null ? 0 : (findSlot(state, slot)?.restarts ?? 0),
    heartbeatAge: 'heartbeatAt' in worker ? Math.round(now - worker.heartbeatAt) : null,
    requests: heartbeat?.requests ?? 0,
    requestsPerSecond: Math.round(rateOf(worker, now)),
    inFlight: heartbeat?.inFlight ?? 0,
    connections: heartbeat?.connections ?? 0,
    rss: heartbeat?.rss ?? 0,
    heapUsed: heartbeat?.heapUsed ?? 0,
    eventLoopDelay: heartbeat?.eventLoopDelay ?? 0,
    eventLoopUtilization: heartbeat?.eventLoopUtilization ?? 0,
  };
}

function rateOf({ vitals }: Worker, now: Millis): number {
  return perSecond(vitals.pace, now);
}

export function serviceStatus(life: State['life']): ClusterStats['status'] {
  if (life.phase === 'serving' || life.phase === 'starting') return life.phase;
  return life.phase === 'idle' ? 'starting' : 'stopping';
}

function wholeSeconds(ms: Millis): number {
  return Math.floor(ms / 1000);
}
