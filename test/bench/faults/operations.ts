import { restart } from './harm.js';
import type { Scenario } from './scenario.js';

const storm = 20;
const drain = 8;

/** What operators do, more of it than is good. */
export const operations: readonly Scenario[] = [
  {
    name: 'storm',
    title: `${storm} reloads at once, then ${storm} in a row`,
    dies: 'nobody',
    replaces: 'reload',
    patience: 15_000,
    harm: async ({ service, before, victims, begins }) => {
      await Promise.all(Array.from({ length: storm }, () => service.reload()));
      for (let nth = 0; nth < storm; nth += 1) await service.reload();
      for (const { pid } of before.workers) victims.add(pid);
      begins();
    },
  },
  {
    name: 'slow-drain',
    title: `restart while ${drain} bodies come in at 16 bytes/s`,
    clients: [{ kind: 'slow-body', count: drain, path: '/upload', pieces: 8, pauseMs: 1_000 }],
    requestTimeout: 30_000,
    dies: 'nobody',
    replaces: 'restart',
    patience: 40_000,
    harm: restart,
  },
];
