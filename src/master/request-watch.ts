import { createLeakWatch, type LeakWatch, type LeakWatchSeam } from './leaks.js';
import { type CostWatch, type CostWatchSeam, createCostWatch } from './route-costs.js';

/** What the workers tell of their requests by kind: which of them leaks, and what each costs. */
export interface RequestWatch {
  readonly messages: Pick<LeakWatch, 'collected'> & Pick<CostWatch, 'worked'>;
  readonly costs: CostWatch['costs'];
}

export function watchRequests(seam: Omit<LeakWatchSeam & CostWatchSeam, 'load'>): RequestWatch {
  const { collected } = createLeakWatch(seam);
  const { worked, costs } = createCostWatch(seam);
  return { messages: { collected, worked }, costs };
}
