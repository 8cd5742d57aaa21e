import type { Event } from '../../src/core/events.js';
import type {
  HealthPolicy,
  PoisonPolicy,
  Policy,
  ReloadPolicy,
  RestartPolicy,
} from '../../src/core/policy.js';
import { emptyLatency, type Heartbeat } from '../../src/protocol/heartbeat.js';

export type PolicyPart = Partial<Omit<Policy, 'restart' | 'reload' | 'health' | 'poison'>> & {
  readonly health?: Partial<HealthPolicy>;
  readonly poison?: Partial<PoisonPolicy>;
  readonly restart?: Partial<RestartPolicy>;
  readonly reload?: Partial<ReloadPolicy>;
};

/** A policy with round figures. */
export function simPolicy({ health, restart, reload, poison, ...rest }: PolicyPart = {}): Policy {
  return {
    kind: 'server',
    workers: 2,
    scale: { target: 0.7, downAfter: 300_000 },
    bootTimeout: 10_000,
    drainTimeout: 20_000,
    listenWait: 0,
    lameDuck: 0,
    maxAge: 0,
    maxRequests: 0,
    hangTimeout: 5_000,
    heartbeatInterval: 1_000,
    memory: { maxRss: null, maxHeap: 0, pressure: 0 },
    spares: 0,
    evensOut: false,
    pingInterval: null,
    log: { statsInterval: 0 },
    exits: { bootTimeout: 75, appFailed: 70, noResources: 71, tooManyRestarts: 76 },
    ...rest,
    poison: {
      deaths: 0,
      window: 600_000,
      block: 0,
      cell: 'off',
      cellTimeout: 30_000,
      cellMemory: null,
      ...poison,
    },
    health: { slowDelay: 500, slowLimit: 0, checkFailures: 3, ...health },
    restart: {
      intensity: 5,
      window: 60_000,
      crashDelay: 100,
      crashDelayMax: 1_000,
      bootDelay: 500,
      bootDelayMax: 8_000,
      ...restart,
    },
    reload: {
      soak: 2_000,
      probe: '/health',
      probeTimeout: 1_000,
      maxErrors: 0.05,
      maxLatency: 3,
      mirror: 'off',
      mirrorRoutes: [],
      mirrorCredentials: 'off',
      mirrorRate: 50,
      mirrorRequests: 40,
      mirrorTime: 10_000,
      mirrorDifferences: 1,
      ...reload,
    },
  };
}

export function simHeartbeat(heartbeat: Partial<Heartbeat> = {}): Heartbeat {
  return {
    requests: 0,
    inFlight: 0,
    connections: 0,
    accepted: 0,
    kept: 0,
    answers: 0,
    errors: 0,
    latency: emptyLatency(),
    bytesWritten: 0,
    rssBytes: 50 * 2 ** 20,
    heapUsedBytes: 10 * 2 ** 20,
    eventLoopDelayMs: 1,
    eventLoopUtilization: 0.1,
    heapLimitBytes: 512 * 2 ** 20,
    current: [],
    ...heartbeat,
  };
}

/** What brings a service to so many workers that are ready; `soaking`: and to a canary of the next release that soaks. */
export function servingEvents(workers: number, { soaking }: { readonly soaking: boolean }): readonly Event[] {
  const ready = (key: number): Event => ({ type: 'ready', key, urls: [] });
  const all: Event[] = [
    { type: 'start' },
    ...Array.from({ length: workers }, (_, place) => ready(place + 1)),
  ];
  if (!soaking) return all;
  const reload: Event = {
    type: 'reload',
    generation: 2,
    release: 'next',
    at: 0,
    serial: 1,
    soak: true,
    rollback: true,
    request: 1,
    by: 'simulation',
  };
  return [...all, reload, ready(workers + 1)];
}
