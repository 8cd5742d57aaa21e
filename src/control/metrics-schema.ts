import * as v from 'valibot';
import { gcKinds, type MetricsSnapshot } from '../protocol/metrics.js';
import { mostRouteCosts } from '../protocol/route-cost.js';
import { deployMetrics } from './deploy-schema.js';
import { JobCountersSchema } from './job-schemas.js';
import { queueAnswers } from './queues-schema.js';

const number = v.number();
const whole = v.pipe(number, v.integer());
const maybe = v.nullable(number);
const numbers = v.record(v.string(), number);

const distribution = v.strictObject({
  counts: v.pipe(
    v.array(number),
    v.description('By bucket, each without those below it; their limits are those of the exposition.'),
  ),
  sumSeconds: number,
});

const counters = {
  requests: whole,
  accepted: v.pipe(whole, v.description('Connections.')),
  shed: v.pipe(whole, v.description('Requests that were answered with 503 without the app.')),
  cpuSeconds: number,
  loopActiveSeconds: number,
  loopIdleSeconds: number,
};

const gauges = v.strictObject({
  rssBytes: number,
  heapUsedBytes: number,
  heapSizeBytes: number,
  heapLimitBytes: number,
  externalBytes: number,
  connections: whole,
  inFlight: whole,
  eventLoopDelaySeconds: number,
  openFds: maybe,
  maxFds: maybe,
});

/** A kind of request that leaves memory behind. */
export const LeakSchema = v.strictObject({
  kind: v.pipe(v.string(), v.description('Method and route.')),
  bytesPerRequest: v.pipe(number, v.description('What stays after each request.')),
  lowBytes: v.pipe(number, v.description('The 95 % interval of that, from here to highBytes.')),
  highBytes: number,
  share: v.pipe(number, v.description('Of the growth of all heaps, 0 to 1.')),
  isOutside: v.exactOptional(
    v.pipe(v.boolean(), v.description('It is memory outside of the heap, of native code.')),
  ),
});

const Estimate = v.strictObject({
  ms: number,
  lowMs: v.pipe(number, v.description('The 95 % interval of that, from here to highMs.')),
  highMs: number,
  share: v.pipe(number, v.description('Of what all workers spent, 0 to 1.')),
});

/** What a kind of request costs. */
const RouteCostSchema = v.strictObject({
  kind: v.pipe(v.string(), v.description('Method and route.')),
  requests: v.pipe(whole, v.description('How many of them this is known from.')),
  cpu: v.pipe(Estimate, v.description('CPU time of one request.')),
  loop: v.pipe(Estimate, v.description('How long one request keeps the event loop busy.')),
  blocks: v.pipe(v.boolean(), v.description('It does so in one piece: other requests wait.')),
  heavy: v.pipe(
    v.nullable(v.picklist(['cpu', 'loop'])),
    v.description('By what it stands out from all other kinds; null: it does not.'),
  ),
  where: v.pipe(v.nullable(v.string()), v.description('The function in which a stall of it was seen.')),
});

export const RouteCostsSchema = v.strictObject({
  overSeconds: v.pipe(whole, v.description('From how much time of all workers together.')),
  restShare: v.pipe(number, v.description('Of the CPU what no request explains, 0 to 1.')),
  routes: v.pipe(v.array(RouteCostSchema), v.maxLength(mostRouteCosts)),
});

/** `GET /v1/metrics`. */
export const Metrics = v.strictObject({
  at: v.pipe(number, v.description('Wall clock, ms since 1970.')),
  tookSeconds: v.pipe(number, v.description('How long the master asked the workers.')),
  status: v.picklist(['starting', 'serving', 'stopping']),
  kind: v.picklist(['server', 'process']),
  mode: v.string(),
  generation: whole,
  reloading: v.boolean(),
  wanted: whole,
  ready: whole,
  spares: v.strictObject({ wanted: whole, ready: whole }),
  cell: v.exactOptional(v.strictObject({ isReady: v.boolean(), deaths: whole })),
  autoscale: v.exactOptional(
    v.pipe(
      v.strictObject({
        min: whole,
        max: whole,
        held: v.boolean(),
        changes: v.strictObject({ up: whole, down: whole }),
      }),
      v.description('Absent where workers is a fixed number.'),
    ),
  ),
  watchdog: v.pipe(
    v.nullable(v.strictObject({ withheld: v.boolean() })),
    v.description('null: no service manager is pinged.'),
  ),
  master: v.strictObject({
    pid: whole,
    version: v.string(),
    node: v.string(),
    startedAtSeconds: v.pipe(number, v.description('Wall clock, seconds since 1970.')),
    rssBytes: number,
    heapUsedBytes: number,
    cpuSeconds: number,
    loopActiveSeconds: number,
    loopIdleSeconds: number,
    openFds: maybe,
    maxFds: maybe,
  }),
  counters: v.strictObject({
    restarts: v.strictObject({
      boot: whole,
      crash: whole,
      hang: whole,
      unhealthy: whole,
      memory: whole,
      age: whole,
      asked: whole,
    }),
    endings: v.strictObject({ drained: whole, killed: whole, boot: whole, crash: whole, hang: whole }),
    reloads: v.pipe(numbers, v.description('By verdict.')),
    mirrored: v.strictObject({
      ...{ failed: whole, denied: whole, changed: whole, refused: whole, late: whole, same: whole },
    }),
    requestsLost: whole,
    oomKills: whole,
    connectionsMoved: whole,
    balanceMoves: whole,
    watchdogPings: whole,
  }),
  jobs: v.exactOptional(v.pipe(v.array(JobCountersSchema), v.description('Absent where there are none.'))),
  queues: v.exactOptional(v.pipe(queueAnswers.Queues, v.description('Absent where the app uses none.'))),
  deploys: v.pipe(v.exactOptional(deployMetrics), v.description('Absent where there is no `[deploy]`.')),
  listenQueue: v.strictObject({
    waiting: v.pipe(maybe, v.description('Connections that wait to be accepted; null: unknown.')),
    overflows: v.pipe(maybe, v.description('Of every listening socket of the network namespace.')),
    drops: maybe,
  }),
  workers: v.array(
    v.strictObject({
      key: v.pipe(whole, v.description('Names the process for ever.')),
      worker: v.pipe(v.nullable(whole), v.description('Number of the slot, from 1; null: a spare.')),
      pid: v.nullable(whole),
      phase: v.picklist(['starting', 'spare', 'ready', 'draining', 'dying']),
      health: v.picklist(['healthy', 'degraded', 'unhealthy', 'unresponsive']),
      generation: whole,
      uptimeSeconds: number,
      heartbeatAgeSeconds: maybe,
      eventLoopUtilization: maybe,
      ageSeconds: v.pipe(
        maybe,
        v.description('Of the gauges: 0 if the worker answered in time; null if it never did.'),
      ),
      gauges: v.nullable(gauges),
    }),
  ),
  slots: v.pipe(
    v.array(v.strictObject({ worker: whole, ...counters })),
    v.description('Counters by slot, those of workers that are gone included.'),
  ),
  routes: v.pipe(
    v.array(v.strictObject({ route: v.string(), answers: numbers, durations: distribution })),
    v.description('Answers by class of route; `answers` by method and class of status, as `GET 2xx`.'),
  ),
  leaks: v.pipe(
    v.array(LeakSchema),
    v.description('Kinds of requests that leave memory behind, the worst first.'),
  ),
  costs: v.pipe(
    v.array(RouteCostSchema),
    v.maxLength(mostRouteCosts),
    v.description('What the kinds of requests cost; empty until that can be told.'),
  ),
  delays: distribution,
  gc: v.strictObject({
    [gcKinds[0]]: v.exactOptional(distribution),
    [gcKinds[1]]: v.exactOptional(distribution),
    [gcKinds[2]]: v.exactOptional(distribution),
    [gcKinds[3]]: v.exactOptional(distribution),
  }),
  app: v.pipe(
    v.array(
      v.strictObject({
        worker: v.pipe(v.nullable(whole), v.description('null: the counters of workers that are gone.')),
        json: v.pipe(
          v.nullable(v.string()),
          v.description('What getMetricsAsJSON() of prom-client returned.'),
        ),
        failure: v.nullable(v.string()),
      }),
    ),
    v.description("The app's own metrics; empty unless metrics.app is on."),
  ),
});

const counted = {
  requests: 5120,
  accepted: 40,
  shed: 0,
  cpuSeconds: 12.5,
  loopActiveSeconds: 11,
  loopIdleSeconds: 589,
};

export const metricsExample: MetricsSnapshot = {
  at: 1_795_000_000_000,
  tookSeconds: 0.004,
  status: 'serving',
  kind: 'server',
  mode: 'cluster',
  generation: 3,
  reloading: false,
  wanted: 1,
  ready: 1,
  spares: { wanted: 0, ready: 0 },
  cell: { isReady: true, deaths: 2 },
  autoscale: { min: 1, max: 4, held: false, changes: { up: 2, down: 2 } },
  watchdog: { withheld: false },
  master: {
    pid: 4711,
    version: '0.1.0',
    node: 'v24.21.0',
    startedAtSeconds: 1_794_996_400,
    rssBytes: 52_428_800,
    heapUsedBytes: 12_582_912,
    cpuSeconds: 3.1,
    loopActiveSeconds: 3,
    loopIdleSeconds: 3597,
    openFds: 31,
    maxFds: 524_288,
  },
  counters: {
    restarts: { boot: 0, crash: 1, hang: 0, unhealthy: 0, memory: 0, age: 0, asked: 0 },
    endings: { drained: 2, killed: 0, boot: 0, crash: 1, hang: 0 },
    reloads: { done: 2, 'rolled-back': 0, superseded: 0, stopped: 0 },
    mirrored: { failed: 0, denied: 0, changed: 3, refused: 1, late: 0, same: 196 },
    requestsLost: 0,
    oomKills: 0,
    connectionsMoved: 12,
    balanceMoves: 1,
    watchdogPings: 240,
  },
  jobs: [
    {
      ...{ name: 'report', verdicts: { done: 27, failed: 1 }, missed: 0, secondsTotal: 1_412.5 },
      ...{ lastSeconds: 48.2, lastSuccessSeconds: 1_795_744_848.21, nextSeconds: 1_795_831_200, running: 0 },
    },
  ],
  queues: {
    engine: { kind: 'embedded', connected: true },
    queues: [{ name: 'pdf', waiting: 12, delayed: 0, active: 4, completed: 8_211, failed: 1 }],
  },
  deploys: {
    verdicts: { done: 3, failed: 1 },
    lastTookSeconds: 48.1,
    isUnderWay: false,
    current: '20261127-020000',
    commit: '1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d',
  },
  listenQueue: { waiting: 0, overflows: 0, drops: 0 },
  workers: [
    {
      key: 4,
      worker: 1,
      pid: 4720,
      phase: 'ready',
      health: 'healthy',
      generation: 3,
      uptimeSeconds: 600,
      heartbeatAgeSeconds: 0.4,
      eventLoopUtilization: 0.31,
      ageSeconds: 0,
      gauges: {
        rssBytes: 62_914_560,
        heapUsedBytes: 12_582_912,
        heapSizeBytes: 16_777_216,
        heapLimitBytes: 536_870_912,
        externalBytes: 2_097_152,
        connections: 12,
        inFlight: 4,
        eventLoopDelaySeconds: 0.0112,
        openFds: 41,
        maxFds: 524_288,
      },
    },
  ],
  slots: [{ worker: 1, ...counted }],
  routes: [
    {
      route: '/orders/:id',
      answers: { 'GET 2xx': 5000, 'GET 4xx': 116 },
      durations: { counts: [4000, 900, 150, 50, 10, 4, 1, 1, 0, 0, 0, 0, 0, 0, 0], sumSeconds: 6.2 },
    },
  ],
  leaks: [
    {
      ...{ kind: 'GET /reports/:id', bytesPerRequest: 3_250_000, share: 0.92 },
      ...{ lowBytes: 2_940_000, highBytes: 3_570_000 },
    },
  ],
  costs: [
    {
      ...{ kind: 'GET /report', requests: 312, blocks: true, heavy: 'cpu' },
      cpu: { ms: 180, lowMs: 170, highMs: 190, share: 0.61 },
      loop: { ms: 176, lowMs: 167, highMs: 185, share: 0.6 },
      where: 'checkout (/srv/app/server.js:12:5)',
    },
  ],
  delays: { counts: [590, 6, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], sumSeconds: 0.6 },
  gc: { minor: { counts: [80, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], sumSeconds: 0.05 } },
  app: [],
};
