import type { DeploySummary } from '../protocol/deploy.js';
import type { Millis } from '../protocol/limits.js';
import type { ReloadRecord, ReloadSummary } from '../protocol/reload-record.js';
import type { RouteCosts } from '../protocol/route-cost.js';
import type {
  CellStats,
  ClusterStats,
  DeathSummary,
  PoisonSummary,
  PublicReload,
  PublicStats,
  WorkerStats,
} from '../protocol/stats.js';
import { boundsOf, type WorkerCount } from '../settings/worker-count.js';
import { located } from './costs.js';
import { perSecond } from './health.js';
import { currentRecord } from './reload-record.js';
import { findSlot } from './slots.js';
import type { Cell, KeptDeath, State, Suspect, Worker } from './state.js';
import { requestsServed, servedSlots, total, waitingSpares } from './status.js';
import { isEnding, slotOf } from './workers.js';

/** One death says nothing about a request. */
const deathsToTell = 2;

export type MasterFacts = Omit<ClusterStats['master'], 'uptimeSeconds'>;

export interface Surroundings {
  readonly now: Millis;
  /** As configured; a fixed number unless told. */
  readonly workers?: WorkerCount;
  readonly kind: ClusterStats['kind'];
  readonly mode: string;
  readonly master: MasterFacts;
  /** Of reloads that are over, newest first. */
  readonly records: readonly ReloadRecord[];
  /** null: none is configured. */
  readonly deploys?: DeploySummary | null;
  /** null: not known yet. */
  readonly costs?: RouteCosts | null;
}

/** The master's view of the service, for the control socket. */
export function clusterStats(
  state: State,
  { now, kind, mode, workers = 1, master, records, deploys = null, costs = null }: Surroundings,
): ClusterStats {
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
    master: { ...master, uptimeSeconds: wholeSeconds(now - state.startedAt) },
    // Spares first.
    workers: [...state.workers]
      .sort((a, b) => (slotOf(a) ?? 0) - (slotOf(b) ?? 0) || a.key - b.key)
      .map((worker) => workerStats(state, worker, now)),
    lastReload: state.reload === null ? state.lastReload : currentRecord(state, state.reload),
    reloads: records.map(({ steps, ...summary }) => summary),
    spares: { wanted: state.spares.wanted, ready: waitingSpares(state) },
    deaths: state.lastDeaths.map((death) => deathSummary(death, now)),
    stalls: state.lastStalls.map(({ at, ...stall }) => ({ ...stall, agoSeconds: wholeSeconds(now - at) })),
    leaks: state.leaks,
    ...routeCosts(state, costs),
    ...(deploys === null ? {} : { deploys }),
    ...autoscaleStats(state, workers, now),
    poison: state.suspects
      .filter(({ deaths }) => deaths.length >= deathsToTell)
      .map((suspect) => poisonSummary(suspect, now)),
    ...(isKnown(state.cell) ? { cell: cellStats(state.cell) } : {}),
  };
}

/** Whether there is, or was, a cell. */
export function isKnown({ workers, deaths }: Cell): boolean {
  return workers.length > 0 || deaths > 0;
}

export function cellStats({ workers, forkAt, deaths }: Cell): CellStats {
  const up = workers.findLast(({ phase }) => phase === 'ready') ?? workers.at(-1);
  const without = forkAt === null ? 'none' : 'waiting';
  return {
    status:
      up === undefined ? without : up.phase === 'ready' || up.phase === 'starting' ? up.phase : 'ending',
    pid: up?.pid ?? null,
    generation: up?.generation ?? null,
    requests: up?.heartbeat?.requests ?? 0,
    inFlight: up?.heartbeat?.inFlight ?? 0,
    rssBytes: up?.heartbeat?.rssBytes ?? null,
    deaths,
  };
}

/** What of it `GET /api/cluster/stats` answers. */
export function publicStats({
  deaths,
  stalls,
  leaks,
  costs: _costs,
  poison,
  cell: _cell,
  lastReload,
  reloads,
  deploys: _,
  ...rest
}: ClusterStats): PublicStats {
  return {
    ...rest,
    lastReload: lastReload === null ? null : publicReload(lastReload),
    reloads: reloads.map(publicReload),
  };
}

function publicReload(record: ReloadSummary): PublicReload {
  const { serial, generation, from, atMs, tookMs, accepted, moved, lost, verdict } = record;
  return { serial, generation, from, atMs, tookMs, accepted, moved, lost, verdict };
}

function routeCosts({ lastStalls }: State, costs: RouteCosts | null): Pick<ClusterStats, 'costs'> {
  if (costs === null) return {};
  return { costs: { ...costs, routes: costs.routes.map((cost) => located(cost, lastStalls)) } };
}

function autoscaleStats(
  { scaling: { held, last } }: State,
  workers: WorkerCount,
  now: Millis,
): Pick<ClusterStats, 'autoscale'> {
  const { min, max } = boundsOf(workers);
  if (min === max) return {};
  if (last === null) return { autoscale: { min, max, held, last } };
  const { at, ...change } = last;
  return { autoscale: { min, max, held, last: { agoSeconds: wholeSeconds(now - at), ...change } } };
}

function deathSummary({ key, awaitsExit, at, ...death }: KeptDeath, now: Millis): DeathSummary {
  return { ...death, agoSeconds: wholeSeconds(now - at) };
}

function poisonSummary({ method, route, deaths, blockedUntil }: Suspect, now: Millis): PoisonSummary {
  return {
    method,
    route,
    deaths: deaths.length,
    agoSeconds: wholeSeconds(now - (deaths.at(-1) ?? now)),
    blockedForSeconds: blockedUntil === null ? 0 : Math.ceil(Math.max(0, blockedUntil - now) / 1000),
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
    uptimeSeconds: wholeSeconds(now - worker.forkedAt),
    restarts: slot === null ? 0 : (findSlot(state, slot)?.restarts ?? 0),
    heartbeatAgeMs: 'heartbeatAt' in worker ? Math.round(now - worker.heartbeatAt) : null,
    requests: heartbeat?.requests ?? 0,
    requestsPerSecond: Math.round(rateOf(worker, now)),
    inFlight: heartbeat?.inFlight ?? 0,
    connections: heartbeat?.connections ?? 0,
    rssBytes: heartbeat?.rssBytes ?? 0,
    heapUsedBytes: heartbeat?.heapUsedBytes ?? 0,
    eventLoopDelayMs: heartbeat?.eventLoopDelayMs ?? 0,
    eventLoopUtilization: heartbeat?.eventLoopUtilization ?? 0,
    ...(heartbeat?.shed === undefined ? {} : { shedRequests: heartbeat.shed.requests }),
    ...(heartbeat?.keepAliveTimeoutMs === undefined
      ? {}
      : { keepAliveTimeoutMs: heartbeat.keepAliveTimeoutMs }),
  };
}

function rateOf({ vitals }: Worker, now: Millis): number {
  return perSecond(vitals.pace, now);
}

export function serviceStatus(life: State['life']): ClusterStats['status'] {
  if (isEnding(life)) return 'stopping';
  return life.phase === 'serving' ? 'serving' : 'starting';
}

function wholeSeconds(ms: Millis): number {
  return Math.floor(ms / 1000);
}
