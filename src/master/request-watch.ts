import { createLeakWatch, type LeakWatch, type LeakWatchSeam } from './leaks.js';
import { type CostWatch, type CostWatchSeam, createCostWatch } from './route-costs.js';

/** What the workers tell of their requests by kind: which of them leaks, and what each costs. */
export interface RequestWatch {
  readonly messages: LeakWatch;
  readonly costs: CostWatch['costs'];
}

export function watchRequests(seam: Omit<LeakWatchSeam & CostWatchSeam, 'load'>): RequestWatch {
  const memory = createLeakWatch(seam);
  const time = createCostWatch(seam);
  return {
    messages: {
      collected: memory.collected,
      worked: (key, work) => {
        memory.worked(key, work);
        time.worked(key, work);
      },
    },
    costs: time.costs,
  };
}
