import { metricsExample } from '../../../src/control/metrics-schema.js';
import type { MetricsSnapshot, WorkerMetrics } from '../../../src/protocol/metrics.js';

export const sampleSnapshot: MetricsSnapshot = metricsExample;

/** What a worker tells that has answered so many requests. */
export function workerMetrics(requests: number, more: Partial<WorkerMetrics> = {}): WorkerMetrics {
  const [first] = metricsExample.workers;
  if (first === undefined || first.gauges === null) throw new Error('the example has no worker');
  return {
    counters: { requests, accepted: 1, shed: 0, cpuSeconds: 1, loopActiveSeconds: 1, loopIdleSeconds: 9 },
    routes: [route('/', requests)],
    delays: { counts: [1, 0], sumSeconds: 0.001 },
    gc: {},
    gauges: first.gauges,
    app: null,
    ...more,
  };
}

export function route(name: string, requests: number) {
  return {
    route: name,
    answers: { 'GET 2xx': requests },
    durations: { counts: [requests, 0], sumSeconds: requests / 1_000 },
  };
}
