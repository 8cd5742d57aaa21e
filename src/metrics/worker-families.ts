import type { MetricsSnapshot, SlotCounters, WorkerGauges, WorkerSnapshot } from '../protocol/metrics.js';
import { durationLimits, pauseLimits } from '../protocol/metrics.js';
import type { Estimate } from '../protocol/route-cost.js';
import type { Family, Maybe, Sample } from './family.js';

const worker = ['worker'];

/** What the workers count: together, and slot by slot. */
export const workerFamilies: readonly Family[] = [
  {
    name: 'rom_agent_http_requests_total',
    type: 'counter',
    help: 'Answered requests by class of route, method and class of status.',
    labels: ['route', 'method', 'status'],
    samples: ({ routes }) =>
      routes.flatMap(({ route, answers }) =>
        Object.entries(answers).map(([kind, value]) => {
          const [method = '', status = ''] = kind.split(' ');
          return { labels: [route, method, status], value };
        }),
      ),
  },
  {
    name: 'rom_agent_http_request_duration_seconds',
    type: 'histogram',
    help: 'From the first line of a request to the end of its answer, by class of route. Of many requests every eighth is timed, and stands for eight.',
    labels: ['route'],
    limits: durationLimits,
    samples: ({ routes }) => routes.map(({ route, durations }) => ({ labels: [route], value: durations })),
  },
  {
    name: 'rom_agent_leak_bytes_per_request',
    type: 'gauge',
    help: 'What stays in memory after each request, by class of route and method, in the heap or outside of it; only of those that leak.',
    labels: ['route', 'method', 'memory'],
    samples: ({ leaks }) =>
      leaks.map(({ kind, bytesPerRequest, isOutside = false }) => {
        const [method = '', route = ''] = kind.split(' ');
        return {
          labels: [route, method, isOutside ? 'outside' : 'heap'],
          value: Math.round(bytesPerRequest),
        };
      }),
  },
  {
    name: 'rom_agent_route_cpu_seconds_per_request',
    type: 'gauge',
    help: 'What one request takes of the CPU, by class of route and method, as an estimate; of at most twenty that are known to take some.',
    labels: ['route', 'method'],
    samples: ({ costs }) => costs.flatMap(({ kind, cpu }) => estimated(kind, cpu, cpu.ms / 1_000)),
  },
  {
    name: 'rom_agent_route_event_loop_seconds_per_request',
    type: 'gauge',
    help: 'How long one request keeps the event loop busy, by class of route and method, as an estimate; of at most twenty.',
    labels: ['route', 'method'],
    samples: ({ costs }) => costs.flatMap(({ kind, loop }) => estimated(kind, loop, loop.ms / 1_000)),
  },
  {
    name: 'rom_agent_route_cpu_ratio',
    type: 'gauge',
    help: 'What share of the CPU of all workers a class of route takes, by method, as an estimate; of at most twenty.',
    labels: ['route', 'method'],
    samples: ({ costs }) => costs.flatMap(({ kind, cpu }) => estimated(kind, cpu, cpu.share)),
  },
  {
    name: 'rom_agent_event_loop_delay_seconds',
    type: 'histogram',
    help: 'Event-loop delay of the workers: the 99th percentile of each second of each worker is one value.',
    labels: [],
    limits: pauseLimits,
    samples: ({ delays }) => [{ labels: [], value: delays }],
  },
  {
    name: 'rom_agent_gc_pause_seconds',
    type: 'histogram',
    help: 'Pauses of the garbage collector in the workers, by kind, since the first scrape that reached the worker.',
    labels: ['kind'],
    limits: pauseLimits,
    samples: ({ gc }) => Object.entries(gc).map(([kind, value]) => ({ labels: [kind], value })),
  },
  {
    name: 'rom_agent_worker_requests_total',
    type: 'counter',
    help: 'Requests that reached the workers of a slot.',
    labels: worker,
    samples: perSlot(({ requests }) => requests),
  },
  {
    name: 'rom_agent_worker_connections_accepted_total',
    type: 'counter',
    help: 'Connections that the workers of a slot accepted.',
    labels: worker,
    samples: perSlot(({ accepted }) => accepted),
  },
  {
    name: 'rom_agent_worker_requests_shed_total',
    type: 'counter',
    help: 'Requests that the workers of a slot answered with 503 without the app, because they were too far behind: [shed].',
    labels: worker,
    samples: perSlot(({ shed }) => shed),
  },
  {
    name: 'rom_agent_worker_cpu_seconds_total',
    type: 'counter',
    help: 'CPU time of the workers of a slot, user and system.',
    labels: worker,
    samples: perSlot(({ cpuSeconds }) => cpuSeconds),
  },
  {
    name: 'rom_agent_worker_event_loop_active_seconds_total',
    type: 'counter',
    help: 'Time in which the event loops of a slot were busy: its rate is the event-loop utilisation.',
    labels: worker,
    samples: perSlot(({ loopActiveSeconds }) => loopActiveSeconds),
  },
  {
    name: 'rom_agent_worker_event_loop_idle_seconds_total',
    type: 'counter',
    help: 'Time in which the event loops of a slot waited.',
    labels: worker,
    samples: perSlot(({ loopIdleSeconds }) => loopIdleSeconds),
  },
  {
    name: 'rom_agent_worker_event_loop_utilization_ratio',
    type: 'gauge',
    help: 'Share of the last second in which the event loop of a worker was busy, 0 to 1.',
    labels: worker,
    samples: perWorker('max', ({ eventLoopUtilization }) => eventLoopUtilization),
  },
  {
    name: 'rom_agent_worker_event_loop_delay_seconds',
    type: 'gauge',
    help: 'Event-loop delay of a worker: the 99th percentile of its last second.',
    labels: worker,
    samples: gauge('eventLoopDelaySeconds', 'max'),
  },
  {
    name: 'rom_agent_worker_connections',
    type: 'gauge',
    help: 'Open connections of a worker.',
    labels: worker,
    samples: gauge('connections'),
  },
  {
    name: 'rom_agent_worker_requests_in_flight',
    type: 'gauge',
    help: 'Requests that a worker is answering.',
    labels: worker,
    samples: gauge('inFlight'),
  },
  {
    name: 'rom_agent_worker_resident_memory_bytes',
    type: 'gauge',
    help: 'Resident set size (RSS) of a worker.',
    labels: worker,
    samples: gauge('rssBytes'),
  },
  {
    name: 'rom_agent_worker_heap_used_bytes',
    type: 'gauge',
    help: "What is in use of the heap of a worker's V8.",
    labels: worker,
    samples: gauge('heapUsedBytes'),
  },
  {
    name: 'rom_agent_worker_heap_size_bytes',
    type: 'gauge',
    help: "Size of the heap of a worker's V8.",
    labels: worker,
    samples: gauge('heapSizeBytes'),
  },
  {
    name: 'rom_agent_worker_heap_limit_bytes',
    type: 'gauge',
    help: 'What the heap of a worker may grow to.',
    labels: worker,
    samples: gauge('heapLimitBytes', 'max'),
  },
  {
    name: 'rom_agent_worker_external_memory_bytes',
    type: 'gauge',
    help: 'Memory of C++ objects that belong to JavaScript objects of a worker, such as buffers.',
    labels: worker,
    samples: gauge('externalBytes'),
  },
  {
    name: 'rom_agent_worker_open_fds',
    type: 'gauge',
    help: 'Open file descriptors of a worker (Linux).',
    labels: worker,
    samples: gauge('openFds', 'max'),
  },
  {
    name: 'rom_agent_worker_max_fds',
    type: 'gauge',
    help: 'How many file descriptors a worker may have (Linux).',
    labels: worker,
    samples: gauge('maxFds', 'max'),
  },
  {
    name: 'rom_agent_worker_uptime_seconds',
    type: 'gauge',
    help: 'Since the fork of the oldest process in a slot.',
    labels: worker,
    samples: perWorker('max', ({ uptimeSeconds }) => uptimeSeconds),
  },
  {
    name: 'rom_agent_worker_heartbeat_age_seconds',
    type: 'gauge',
    help: 'Since the last heartbeat of a worker, which comes every second while its event loop turns.',
    labels: worker,
    samples: perWorker('max', ({ heartbeatAgeSeconds }) => heartbeatAgeSeconds),
  },
  {
    name: 'rom_agent_worker_metrics_age_seconds',
    type: 'gauge',
    help: 'How old the figures of a worker are: more than 0 where it did not answer in time, and its last answer is told again.',
    labels: worker,
    samples: perWorker('max', ({ ageSeconds }) => ageSeconds),
  },
];

/**
 * A value for each slot. While a worker is replaced two processes are in its slot, and there may be several spares: values
 * that can be added up are, of others the largest is told.
 */
function perWorker(combine: 'sum' | 'max', value: (worker: WorkerSnapshot) => Maybe) {
  return ({ workers }: MetricsSnapshot): readonly Sample[] => {
    const bySlot = new Map<number | string, number>();
    for (const worker of workers) {
      const number = value(worker);
      if (number === null) continue;
      const slot = worker.worker ?? 'spare';
      const other = bySlot.get(slot);
      bySlot.set(
        slot,
        other === undefined ? number : combine === 'sum' ? other + number : Math.max(other, number),
      );
    }
    return [...bySlot].map(([slot, number]) => ({ labels: [slot], value: number }));
  };
}

function gauge(name: keyof WorkerGauges, combine: 'sum' | 'max' = 'sum') {
  return perWorker(combine, ({ gauges }) => gauges?.[name] ?? null);
}

function perSlot(value: (slot: SlotCounters) => number) {
  return ({ slots }: MetricsSnapshot): readonly Sample[] =>
    slots.map((slot) => ({ labels: [slot.worker], value: value(slot) }));
}

/** Where it may as well be nothing, nothing is told. */
function estimated(kind: string, { lowMs }: Estimate, value: number): readonly Sample[] {
  const [method = '', route = ''] = kind.split(' ');
  return lowMs > 0 ? [{ labels: [route, method], value: Number(value.toPrecision(3)) }] : [];
}
