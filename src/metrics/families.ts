import { type Family, one } from './family.js';
import { jobFamilies } from './job-families.js';
import { queueFamilies } from './queue-families.js';
import { masterFamilies, serviceFamilies } from './service-families.js';
import { workerFamilies } from './worker-families.js';

/** What the answer says of itself. */
const answerFamilies: readonly Family[] = [
  {
    name: 'rom_agent_app_registry_up',
    type: 'gauge',
    help: "1 where the app's own metrics of a worker are complete, with metrics.app on; else 0, and a comment says why.",
    labels: ['worker'],
    samples: ({ app }) =>
      app.flatMap(({ worker, failure }) =>
        worker === null ? [] : [{ labels: [worker], value: failure === null ? 1 : 0 }],
      ),
  },
  {
    name: 'rom_agent_scrape_duration_seconds',
    type: 'gauge',
    help: 'How long it took the master to ask the workers for this answer.',
    labels: [],
    samples: ({ tookSeconds }) => one(tookSeconds),
  },
];

/** All metrics, in the order of the exposition. docs/reference/metrics.md is made from the list. */
export const families: readonly Family[] = [
  ...serviceFamilies,
  ...jobFamilies,
  ...queueFamilies,
  ...workerFamilies,
  ...masterFamilies,
  ...answerFamilies,
];
