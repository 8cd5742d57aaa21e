import { setTimeout as sleep } from 'node:timers/promises';
import type { Load, LoadResult } from './load-tools.js';

export interface TurnTimes {
  /** How long each runs at a time, ms. */
  readonly slice: number;
  /** What is under way when a load stops is answered before the next one begins, ms. */
  readonly pause: number;
}

/** A load that runs, and what it is to cost. */
export interface Metered {
  readonly load: Load;
  /** A total that grows while the load runs. */
  readonly meter: () => number;
}

export interface TurnsResult extends LoadResult {
  /** What the meter has grown by in the turns of this load: what idles is none of it. */
  readonly spent: number;
}

/**
 * Lets load generators run by turns, each stopped while another one runs: a busy spell of the machine, which may last for
 * seconds and make everything half as dear again, hits what they load alike. Once only one is left it runs to its end.
 *
 * @returns what each reports, its rate by the time in which it ran
 */
export async function byTurns<Key>(
  loads: ReadonlyMap<Key, Metered>,
  { slice, pause }: TurnTimes = { slice: 100, pause: 3 },
): Promise<Map<Key, TurnsResult>> {
  const all = [...loads].map(([key, metered]) => ({ key, ...metered, ran: 0, spent: 0, over: false }));
  for (const one of all) {
    one.load.process.kill('SIGSTOP');
    const end = (): void => {
      one.over = true;
    };
    one.load.result.then(end, end);
  }
  while (all.some(({ over }) => !over)) {
    for (const one of all.filter(({ over }) => !over)) {
      const [began, before] = [performance.now(), one.meter()];
      one.load.process.kill('SIGCONT');
      await Promise.race([sleep(slice), one.load.result.catch(() => {})]);
      one.ran += performance.now() - began;
      if (!one.over) one.load.process.kill('SIGSTOP');
      await sleep(pause);
      one.spent += one.meter() - before;
    }
  }
  const results = new Map<Key, TurnsResult>();
  for (const { key, load, ran, spent } of all) {
    const result = await load.result;
    results.set(key, { ...result, requestsPerSecond: (result.requests * 1000) / ran, spent });
  }
  return results;
}
