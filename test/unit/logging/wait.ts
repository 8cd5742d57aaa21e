import { waitFor } from '../../support/wait.js';

/** Waits until what `read` gives is wanted. */
export function until<T>(read: () => T, wanted: (value: T) => boolean): Promise<T> {
  return waitFor('the log', read, { until: wanted, interval: 5 });
}
