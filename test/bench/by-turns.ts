import { setTimeout as sleep } from 'node:timers/promises';
import type { Load, LoadResult } from './load-tools.js';

export interface TurnTimes {
  /** How long each runs at a time, ms. */
  readonly slice: number;
  /** What is under way when a load stops is answered before the next one begins, ms. */
  readonly pause: number;
}

/**
 * Lets load generators run by turns, each stopped while another one runs: a busy spell of the machine, which may last for
 * seconds and make everything half as dear again, hits what they load alike. Once only one is left it runs to its end.
 *
 * @returns what each reports, its rate by the time in which it ran
 */
export async function byTurns<Key, Result extends LoadResult>(
  loads: ReadonlyMap<Key, Load<Result>>,
  { slice, pause }: TurnTimes = { slice: 100, pause: 3 },
): Promise<Map<Key, Result>> {
  const running = new Set(loads.values());
  const ran = new Map<Load<Result>, number>();
  for (const load of running) {
    load.process.kill('SIGSTOP');
    const over = () => running.delete(load);
    load.result.then(over, over);
  }
  while (running.size > 0) {
    for (const load of running) {
      const began = performance.now();
      load.process.kill('SIGCONT');
      await Promise.race([sleep(slice), load.result.catch(() => {})]);
      ran.set(load, (ran.get(load) ?? 0) + performance.now() - began);
      if (running.size <= 1) continue;
      load.process.kill('SIGSTOP');
      await sleep(pause);
    }
  }
  const results = new Map<Key, Result>();
  for (const [key, load] of loads) {
    const result = await load.result;
    results.set(key, {
      ...result,
      requestsPerSecond: (result.requests * 1000) / (ran.get(load) ?? Number.NaN),
    });
  }
  return results;
}
