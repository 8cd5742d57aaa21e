import type { MetricsSnapshot } from '../protocol/metrics.js';
import { countedQueues, type QueueSummary } from '../protocol/queues.js';
import { type Family, one, type Sample } from './family.js';

/** States that a job of a queue is in, or ended in. */
const states = ['waiting', 'delayed', 'active', 'failed'] as const;

/** What the backplane knows of the queues of the app: absent until the app uses it. */
export const queueFamilies: readonly Family[] = [
  {
    name: 'rom_agent_queue_jobs',
    type: 'gauge',
    help: 'Jobs of a queue of the app by their state: waiting, delayed, active, failed. In a fleet the whole fleet says the same.',
    labels: ['queue', 'state'],
    samples: ({ queues }) => jobsOf(queues?.queues ?? []),
  },
  {
    name: 'rom_agent_queue_connected',
    type: 'gauge',
    help: '1 while the queues of the app are in reach; 0 while Redis is not, and jobs are kept on this host.',
    labels: [],
    samples: ({ queues }: MetricsSnapshot) => {
      const engine = queues?.engine ?? null;
      return one(engine === null ? null : Number(engine.connected));
    },
  },
];

/** An app may make a queue for each of its customers: the labels stay few. */
function jobsOf(queues: readonly QueueSummary[]): readonly Sample[] {
  const apart = queues.slice(0, countedQueues);
  const rest = queues.slice(countedQueues);
  return [
    ...apart.flatMap((queue) => samplesOf(queue.name, (state) => queue[state])),
    ...(rest.length === 0
      ? []
      : samplesOf('other', (state) => rest.reduce((sum, queue) => sum + queue[state], 0))),
  ];
}

function samplesOf(name: string, count: (state: (typeof states)[number]) => number): readonly Sample[] {
  return states.map((state) => ({ labels: [name, state], value: count(state) }));
}
