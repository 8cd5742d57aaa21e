import { newDeaths } from '../core/deaths.js';
import type { Effect } from '../core/effects.js';
import type { Event } from '../core/events.js';
import { outcomeOf } from '../core/mirror.js';
import { endedReload } from '../core/reload-record.js';
import type { State, Worker } from '../core/state.js';
import { cellStats, isKnown, serviceStatus } from '../core/stats.js';
import { servedSlots, waitingSpares } from '../core/status.js';
import { slotOf } from '../core/workers.js';
import { descriptors, processCounters } from '../metrics/collect.js';
import { type ClusterTotals, createClusterTotals } from '../metrics/merge.js';
import { heapUsed, residentSet } from '../protocol/memory.js';
import type { MasterMessage, WorkerKey, WorkerMessage } from '../protocol/messages.js';
import type {
  AppRegistry,
  AutoscaleMetrics,
  ListenQueue,
  MasterMetrics,
  MetricsSnapshot,
  ServiceCounters,
  WorkerSnapshot,
} from '../protocol/metrics.js';
import type { QueuesAnswer } from '../protocol/queues.js';
import type { RouteCosts } from '../protocol/route-cost.js';
import { boundsOf, type WorkerCount } from '../settings/worker-count.js';
import { differences } from './commands.js';
import type { LazyDeploys } from './lazy-deploys.js';

/** Counts what happens to the service, and asks the workers for what they have counted when somebody wants it. */
export interface Metrics {
  /** @param maxAge ms; an answer to somebody else may be that old. Never rejects */
  snapshot(maxAge?: number): Promise<MetricsSnapshot>;
  received(key: WorkerKey, message: Extract<WorkerMessage, { type: 'metrics' }>): void;
  /** The worker has exited, and its last message has been read. */
  gone(key: WorkerKey): void;
  /** Called after each event. */
  changed(before: State, after: State, event: Event): void;
  performed(effect: Effect): void;
  /** A worker has handed a connection on. */
  moved(): void;
}

export interface MetricsSeam {
  readonly state: () => State;
  readonly send: (key: WorkerKey, message: MasterMessage) => void;
  /** Whether the workers count. */
  readonly asksWorkers: boolean;
  readonly about: Pick<MetricsSnapshot, 'kind' | 'mode'> & {
    readonly version: string;
    /** As configured; a fixed number unless told. */
    readonly workers?: WorkerCount;
  };
  /** Whether a service manager is pinged. */
  readonly isWatched: boolean;
  /** null: there are none. */
  readonly jobs: () => MetricsSnapshot['jobs'] | null;
  readonly deploys?: Pick<LazyDeploys, 'summary' | 'counts'>;
  /** The queues of the app; null where there are none, or they do not answer within so many ms. Never rejects. */
  readonly queues?: (limit: number) => Promise<QueuesAnswer | null>;
  readonly costs?: () => RouteCosts | null;
  readonly readListenQueue: () => Promise<ListenQueue>;
  /** ms, monotonic. */
  readonly now: () => number;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  readonly after: (delay: number, act: () => void) => () => void;
}

/** How long a scrape waits for workers, ms: one that hangs does not hold it up. */
export const patience = 1_000;

export function createMetrics(seam: MetricsSeam): Metrics {
  const { state, send, now, clock, after } = seam;
  const totals = createClusterTotals();
  const counters = createCounters();
  /** By the number of the scrape: the workers that have not answered yet. */
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let latest: { readonly begun: number; readonly snapshot: Promise<MetricsSnapshot> } | null = null;
  let goneApp: AppRegistry | null = null;

  const settle = (key: WorkerKey): void => {
    for (const each of waiting.values()) if (each.left.delete(key) && each.left.size === 0) each.resolve();
  };
  const ask = async (): Promise<void> => {
    const keys = state()
      .workers.filter(isListening)
      .map(({ key }) => key);
    if (keys.length === 0 || !seam.asksWorkers) return;
    const id = ++lastId;
    await new Promise<void>((resolve) => {
      const forget = after(patience, resolve);
      const done = (): void => {
        forget();
        resolve();
      };
      waiting.set(id, { left: new Set(keys), resolve: done });
      for (const key of keys) send(key, { type: 'metrics', id });
    });
    waiting.delete(id);
  };
  const keepGoneApps = async (): Promise<void> => {
    const gone = totals.takeGoneApps();
    if (gone.length === 0) return;
    const { keepCounters } = await import('../metrics/app-aggregate.js');
    goneApp = keepCounters(goneApp, gone);
  };
  const make = async (): Promise<MetricsSnapshot> => {
    const begun = now();
    const [listenQueue, queues] = await Promise.all([
      seam.readListenQueue(),
      seam.queues?.(patience) ?? null,
      ask(),
    ]);
    await keepGoneApps();
    const current = state();
    const workers = current.workers.map((worker) => workerSnapshot(worker, { now: now(), begun, totals }));
    return {
      at: clock(),
      tookSeconds: (now() - begun) / 1_000,
      status: serviceStatus(current.life),
      ...{ kind: seam.about.kind, mode: seam.about.mode },
      generation: current.generation,
      reloading: current.reload !== null,
      wanted: current.slots.length,
      ready: servedSlots(current),
      spares: { wanted: current.spares.wanted, ready: waitingSpares(current) },
      ...cellMetrics(current),
      ...autoscaleMetrics(current, seam.about.workers ?? 1, counters.changes()),
      watchdog: seam.isWatched ? { withheld: current.watchdog.withheld } : null,
      master: masterMetrics(seam.about.version),
      counters: counters.value(),
      ...deployMetrics(seam.deploys),
      listenQueue,
      ...jobsIn(seam.jobs()),
      ...(queues === null ? {} : { queues }),
      workers,
      leaks: current.leaks,
      costs: seam.costs?.()?.routes ?? [],
      ...totals.totals(),
      app: appsOf(current, totals, goneApp),
    };
  };
  return {
    snapshot: (maxAge = 0) => {
      if (latest !== null && (waiting.size > 0 || now() - latest.begun < maxAge)) return latest.snapshot;
      latest = { begun: now(), snapshot: make() };
      return latest.snapshot;
    },
    received: (key, { metrics }) => {
      const sender = state().workers.find((each) => each.key === key);
      totals.heard(key, { worker: sender === undefined ? null : slotOf(sender), metrics, at: now() });
      settle(key);
    },
    gone: (key) => {
      totals.gone(key);
      settle(key);
    },
    changed: counters.changed,
    performed: counters.performed,
    moved: counters.moved,
  };
}

function cellMetrics({ cell }: State): Pick<MetricsSnapshot, 'cell'> {
  if (!isKnown(cell)) return {};
  const { status, deaths } = cellStats(cell);
  return { cell: { isReady: status === 'ready', deaths } };
}

function autoscaleMetrics(
  { scaling }: State,
  workers: WorkerCount,
  changes: AutoscaleMetrics['changes'],
): Pick<MetricsSnapshot, 'autoscale'> {
  const { min, max } = boundsOf(workers);
  return min === max ? {} : { autoscale: { min, max, held: scaling.held, changes } };
}

function deployMetrics(deploys: MetricsSeam['deploys']): Pick<MetricsSnapshot, 'deploys'> {
  const summary = deploys?.summary() ?? null;
  if (summary === null) return {};
  const { current, commit, underWay, last } = summary;
  return {
    deploys: {
      verdicts: deploys?.counts() ?? {},
      lastTookSeconds: last === null ? null : last.tookMs / 1_000,
      isUnderWay: underWay !== null,
      current,
      commit,
    },
  };
}

interface Waiting {
  readonly left: Set<WorkerKey>;
  readonly resolve: () => void;
}

/** One that starts may be busy for long, and has nothing to tell yet. */
function isListening({ phase }: Worker): boolean {
  return phase === 'ready' || phase === 'draining' || phase === 'spare';
}

function workerSnapshot(
  worker: Worker,
  { now, begun, totals }: { readonly now: number; readonly begun: number; readonly totals: ClusterTotals },
): WorkerSnapshot {
  const answer = totals.latest(worker.key);
  const age = answer === undefined ? null : answer.at >= begun ? 0 : (now - answer.at) / 1_000;
  return {
    key: worker.key,
    worker: slotOf(worker),
    pid: worker.pid,
    phase: worker.phase,
    health: worker.vitals.health,
    generation: worker.generation,
    uptimeSeconds: (now - worker.forkedAt) / 1_000,
    heartbeatAgeSeconds: 'heartbeatAt' in worker ? Math.max(0, now - worker.heartbeatAt) / 1_000 : null,
    eventLoopUtilization: worker.heartbeat?.eventLoopUtilization ?? null,
    ageSeconds: age,
    gauges: answer?.metrics.gauges ?? null,
  };
}

function appsOf(state: State, totals: ClusterTotals, gone: AppRegistry | null): MetricsSnapshot['app'] {
  const live = state.workers.flatMap((worker) => {
    const app = totals.latest(worker.key)?.metrics.app ?? null;
    const slot = slotOf(worker);
    return app === null || slot === null ? [] : [{ worker: slot, ...app }];
  });
  return gone === null ? live : [...live, { worker: null, ...gone }];
}

function masterMetrics(version: string): MasterMetrics {
  return {
    ...{ pid: process.pid, version, node: process.version },
    startedAtSeconds: Math.round(performance.timeOrigin) / 1_000,
    rssBytes: residentSet(),
    heapUsedBytes: heapUsed(),
    ...processCounters(),
    ...descriptors(),
  };
}

/** Counts by comparing the state before and after an event, which costs a few comparisons for a heartbeat. */
export function createCounters() {
  const restarts = { boot: 0, crash: 0, hang: 0, unhealthy: 0, memory: 0, age: 0, asked: 0 };
  const changes = { up: 0, down: 0 };
  const endings = { drained: 0, killed: 0, boot: 0, crash: 0, hang: 0 };
  const reloads: Record<string, number> = { done: 0, 'rolled-back': 0, superseded: 0, stopped: 0 };
  const mirrored = { failed: 0, denied: 0, changed: 0, refused: 0, late: 0, same: 0 };
  let requestsLost = 0;
  let oomKills = 0;
  let connectionsMoved = 0;
  let balanceMoves = 0;
  let watchdogPings = 0;
  /** Requests for a restart of a worker that the core has not answered yet. */
  const asked = new Set<number>();

  return {
    changed: (before: State, after: State, event: Event): void => {
      if (after.restarts > before.restarts) {
        const [death] = newDeaths(before, after);
        if (death !== undefined) restarts[death.kind] += after.restarts - before.restarts;
      }
      if (before.slots !== after.slots) countTreatments(before, after, restarts);
      const { last } = after.scaling;
      if (last !== null && last !== before.scaling.last) changes[last.to > last.from ? 'up' : 'down']++;
      const verdict = endedReload(before, after)?.verdict ?? null;
      if (verdict !== null) reloads[verdict] = (reloads[verdict] ?? 0) + 1;
      if (event.type === 'mirrored' && before.reload?.stage.name === 'mirror')
        mirrored[outcomeOf(event.pair)]++;
      if (event.type === 'restart') asked.add(event.request);
      if (event.type === 'exited' || event.type === 'fork-failed') {
        for (const each of differences(before, after, event)) {
          if (each.type !== 'worker' || each.ending === null) continue;
          endings[each.ending.kind]++;
          requestsLost += each.ending.lost;
        }
      }
      if (event.type === 'exited') oomKills += event.oomKills ?? 0;
    },
    performed: (effect: Effect): void => {
      if (effect.type === 'answer' && asked.delete(effect.request) && effect.answer.accepted)
        restarts.asked++;
      if (effect.type === 'even-out') balanceMoves++;
      if (effect.type === 'notify' && effect.watchdog === true) watchdogPings++;
    },
    moved: (): void => {
      connectionsMoved++;
    },
    /** How often the load changed the number of workers. */
    changes: (): AutoscaleMetrics['changes'] => ({ ...changes }),
    value: (): ServiceCounters => ({
      restarts: { ...restarts },
      endings: { ...endings },
      reloads: { ...reloads },
      mirrored: { ...mirrored },
      ...{ requestsLost, oomKills, connectionsMoved, balanceMoves, watchdogPings },
    }),
  };
}

/** A slot remembers when its worker was last replaced for its health, for want of memory, or for its age. */
function countTreatments(
  before: State,
  after: State,
  restarts: { unhealthy: number; memory: number; age: number },
): void {
  for (const slot of after.slots) {
    const earlier = before.slots.find(({ id }) => id === slot.id);
    if (earlier === undefined || earlier === slot) continue;
    if (slot.treatedAt !== null && slot.treatedAt !== earlier.treatedAt) restarts.unhealthy++;
    if (slot.relievedAt !== null && slot.relievedAt !== earlier.relievedAt) restarts.memory++;
    if (slot.recycledAt !== null && slot.recycledAt !== earlier.recycledAt) restarts.age++;
  }
}

function jobsIn(jobs: MetricsSnapshot['jobs'] | null): Pick<MetricsSnapshot, 'jobs'> {
  return jobs == null ? {} : { jobs };
}
