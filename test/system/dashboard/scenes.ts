import type { AdminState, Lane, LogLine, Operations, Sample } from '../../../src/admin/api.js';
import type { DeployRecord } from '../../../src/protocol/deploy.js';
import type { FleetHost } from '../../../src/protocol/fleet.js';
import type { JobRun, JobStatus } from '../../../src/protocol/jobs.js';
import type { ClusterStats, DeathSummary, WorkerStats } from '../../../src/protocol/stats.js';

/** Clusters that exist on paper only. */

const mib = 1024 * 1024;

export function worker(id: number, over: Partial<WorkerStats> = {}): WorkerStats {
  return {
    id,
    pid: 4_700 + id,
    phase: 'ready',
    health: 'healthy',
    generation: 3,
    uptimeSeconds: 3_912,
    restarts: 0,
    heartbeatAgeMs: 420,
    requests: 120_000 + id,
    requestsPerSecond: 301.5,
    inFlight: 3,
    connections: 41,
    rssBytes: 118 * mib,
    heapUsedBytes: 54 * mib,
    eventLoopDelayMs: 11.4,
    eventLoopUtilization: 0.31,
    ...over,
  };
}

export function stats(workers: readonly WorkerStats[], over: Partial<ClusterStats> = {}): ClusterStats {
  const sum = (of: (one: WorkerStats) => number) => workers.reduce((all, one) => all + of(one), 0);
  return {
    status: 'serving',
    kind: 'server',
    mode: 'cluster',
    generation: 3,
    wanted: workers.length,
    ready: workers.filter(({ phase }) => phase === 'ready').length,
    restarts: sum(({ restarts }) => restarts),
    requests: sum(({ requests }) => requests),
    requestsPerSecond: sum(({ requestsPerSecond }) => requestsPerSecond),
    inFlight: sum(({ inFlight }) => inFlight),
    master: { pid: 4_700, uptimeSeconds: 90_300, version: '0.1.0', node: 'v24.21.0', rssBytes: 58 * mib },
    workers,
    lastReload: null,
    reloads: [],
    spares: { wanted: 0, ready: 0 },
    deaths: [],
    stalls: [],
    leaks: [],
    poison: [],
    ...over,
  } as ClusterStats;
}

export function sampleOf(atMs: number, of: ClusterStats, over: Partial<Sample> = {}): Sample {
  return {
    atMs,
    ready: of.ready,
    wanted: of.wanted,
    requestsPerSecond: of.requestsPerSecond,
    errorsPerSecond: 0,
    inFlight: of.inFlight,
    latencyMs: { p50: 3, p90: 11, p99: 38 },
    eventLoopUtilization: 0.31,
    eventLoopDelayMs: 11.4,
    rssBytes: of.workers.reduce((sum, { rssBytes }) => sum + rssBytes, 58 * mib),
    heapUsedBytes: of.workers.reduce((sum, { heapUsedBytes }) => sum + heapUsedBytes, 0),
    restarts: of.restarts,
    workers: of.workers.map((one) => ({
      id: one.id,
      pid: one.pid,
      requestsPerSecond: one.requestsPerSecond,
      inFlight: one.inFlight,
      eventLoopUtilization: one.eventLoopUtilization,
      eventLoopDelayMs: one.eventLoopDelayMs,
      rssBytes: one.rssBytes,
      heapUsedBytes: one.heapUsedBytes,
    })),
    ...over,
  };
}

/** Samples that go up and down like a quiet day: the same in each run. */
export function quietSamples(now: number, of: ClusterStats, many: number): readonly Sample[] {
  return Array.from({ length: many }, (_, index) => {
    const atMs = now - (many - 1 - index) * 1_000;
    const wave = Math.sin(index / 47) * 0.25 + Math.sin(index / 11) * 0.07 + 1;
    const bump = index % 173 < 6 ? 2.6 : 1;
    return sampleOf(atMs, of, {
      requestsPerSecond: of.requestsPerSecond * wave,
      errorsPerSecond: index % 97 < 3 ? 2 : 0,
      latencyMs: { p50: 3 * wave, p90: 11 * wave * Math.sqrt(bump), p99: 34 * wave * bump },
      eventLoopUtilization: Math.min(1, 0.31 * wave * Math.sqrt(bump)),
      rssBytes: (530 + 26 * wave + (index % 60) * 0.4) * mib,
      heapUsedBytes: (190 + 14 * wave + (index % 60) * 0.6) * mib,
    });
  });
}

export function lane(id: number | null, pid: number, fromMs: number, over: Partial<Lane> = {}): Lane {
  return {
    worker: id,
    pid,
    generation: 3,
    phases: [
      { phase: 'starting', fromMs, reason: null },
      { phase: 'ready', fromMs: fromMs + 900, reason: null },
    ],
    endMs: null,
    ending: null,
    ...over,
  };
}

export function logLine(atMs: number, message: string, over: Partial<LogLine> = {}): LogLine {
  return { atMs, level: 'info', worker: null, pid: 4_700, from: 'master', message, fields: {}, ...over };
}

export function death(over: Partial<DeathSummary> = {}): DeathSummary {
  return {
    worker: 2,
    pid: 4_655,
    generation: 3,
    kind: 'crash',
    cause: "TypeError: Cannot read properties of undefined (reading 'total')",
    code: 1,
    signal: null,
    uptimeSeconds: 1_204,
    lost: 2,
    requests: [
      { method: 'GET', path: '/checkout', ageMs: 12 },
      { method: 'GET', path: '/', ageMs: 3 },
    ],
    oomKills: 0,
    stack:
      "TypeError: Cannot read properties of undefined (reading 'total')\n    at checkout (/srv/shop/server.js:40:21)\n    at Layer.handle (/srv/shop/node_modules/router/lib/layer.js:152:17)\n    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)",
    agoSeconds: 42,
    ...over,
  } as DeathSummary;
}

export function stateOf(of: ClusterStats | null, over: Partial<AdminState> = {}): AdminState {
  const nowMs = Date.now();
  return {
    name: 'shop',
    version: '0.1.0',
    nowMs,
    lastEventId: 'stub-0',
    daemon: { state: 'up', reason: null, sinceMs: nowMs - 90_300_000 },
    stats: of,
    config: {
      hang_timeout: { value: 10_000, from: 'default' },
      max_old_space_size: { value: 512, from: 'computed' },
    },
    samples: of === null ? [] : quietSamples(nowMs, of, 300),
    history: [],
    lanes: (of?.workers ?? []).map(({ id, pid }) => lane(id, pid ?? 0, nowMs - 3_912_000)),
    why: [],
    logs: [],
    logSource: 'the journal of shop.service',
    evidence: [],
    operations: { jobs: [], deploys: null, fleet: null, lines: [] },
    ...over,
  };
}

export function jobRun(over: Partial<JobRun> = {}): JobRun {
  const startedMs = over.startedMs ?? Date.now() - 3_600_000;
  return {
    id: 'run-1',
    job: 'report',
    dueMs: startedMs,
    by: 'schedule',
    startedMs,
    endedMs: startedMs + 4_200,
    verdict: 'done',
    reason: null,
    attempts: 1,
    exitCode: 0,
    signal: null,
    outputBytes: 320,
    missed: 0,
    ...over,
  };
}

export function job(over: Partial<JobStatus> = {}): JobStatus {
  return {
    name: 'report',
    schedule: '0 2 * * *',
    timezone: 'America/Sao_Paulo',
    work: 'node jobs/report.mjs',
    enabled: true,
    nextMs: Date.now() + 7_200_000,
    running: [],
    queued: 0,
    last: jobRun(),
    ...over,
  };
}

export function deploy(id: string, over: Partial<DeployRecord> = {}): DeployRecord {
  return {
    id,
    ref: 'main',
    commit: '9f2c1e0b7a6d5c4e3f2a1b0c9d8e7f6a5b4c3d2e',
    by: 'ana',
    origin: 'command',
    atMs: Date.now() - 86_400_000,
    tookMs: 21_400,
    verdict: 'done',
    reason: null,
    previous: null,
    ...over,
  };
}

function host(name: string, over: Partial<FleetHost> = {}): FleetHost {
  return {
    version: '0.1.0',
    status: 'serving',
    generation: 3,
    release: '/srv/shop/releases/20261127-090000',
    wanted: 4,
    ready: 4,
    restarts: 0,
    requests: 810_000,
    requestsPerSecond: 640.5,
    inFlight: 9,
    rssBytes: 512 * mib,
    uptimeSeconds: 90_300,
    lastReload: null,
    host: name,
    self: false,
    heardAgoMs: 1_200,
    present: true,
    ...over,
  };
}

/** Three jobs, three releases and three hosts, some of each in trouble. */
export function operations(over: Partial<Operations> = {}): Operations {
  const now = Date.now();
  const [third, second, first] = ['20261127-090000', '20261126-170000', '20261125-110000'] as const;
  const last = deploy(third, { atMs: now - 7_200_000, previous: second });
  const failed = deploy('20261127-113000', {
    atMs: now - 3_600_000,
    verdict: 'rolled-back',
    reason: 'the canary died: TypeError: render is not a function',
    previous: third,
  });
  return {
    jobs: [
      job({
        running: [
          jobRun({ id: 'run-9', startedMs: now - 12_000, endedMs: null, verdict: null, exitCode: null }),
        ],
      }),
      job({
        name: 'sync-stock',
        schedule: '*/10 * * * *',
        timezone: null,
        work: 'POST /jobs/sync',
        last: jobRun({
          job: 'sync-stock',
          verdict: 'failed',
          exitCode: 3,
          reason: 'the supplier answered 503',
        }),
      }),
      job({
        name: 'clean-up',
        schedule: '@weekly',
        work: 'rm-old.sh',
        enabled: false,
        nextMs: null,
        last: null,
      }),
    ],
    deploys: {
      directory: '/srv/shop',
      current: third,
      releases: [
        { id: third, isCurrent: true, deploy: last },
        { id: second, isCurrent: false, deploy: deploy(second) },
        { id: first, isCurrent: false, deploy: null },
      ],
      deploys: [failed, last, deploy(second)],
      underWay: null,
    },
    fleet: {
      name: 'shop',
      host: 'web-1',
      redis: { address: 'redis://10.0.0.5:6379', connected: true, lostForSeconds: null },
      hosts: [
        host('web-1', { self: true }),
        host('web-2', { ready: 3 }),
        host('web-3', { present: false, heardAgoMs: 42_000 }),
      ],
      reloading: 'web-2',
    },
    lines: [],
    ...over,
  };
}
