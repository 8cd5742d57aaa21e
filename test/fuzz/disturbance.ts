import { setTimeout as sleep } from 'node:timers/promises';
import { connectControl } from '../../src/control/client.js';
import { signalPid } from '../support/process.js';
import type { Service } from './services.js';

/** Something that goes on while scripts are played. */
export interface Disturbance {
  /** When it happened, ms of performance.now(). */
  readonly times: readonly number[];
  hasFailed(): boolean;
  /** Ends it; rejects where it could not be done. */
  stop(): Promise<void>;
}

export const undisturbed: Disturbance = { times: [], hasFailed: () => false, stop: async () => {} };

/** Between two of them, so that scripts also meet workers that do nothing but serve, ms. */
const rest = 200;

/** Reload after reload, each of which has to succeed. */
export function reloads(control: string): Disturbance {
  const client = connectControl({ path: control });
  return repeatedly(async (times) => {
    const { verdict } = await client.reload({ by: 'fuzz', soak: false, rollback: false }, () => {});
    if (verdict !== 'done') throw new Error(`a reload failed: ${verdict}`);
    times.push(performance.now());
  });
}

/** SIGKILL to the oldest worker, as soon as its successor listens. */
export function kills({ log }: Service, workers: number): Disturbance {
  let killed = 0;
  return repeatedly(async (times) => {
    const { pids } = log();
    const victim = pids[killed];
    if (victim === undefined || pids.length < killed + workers) return;
    killed++;
    times.push(performance.now());
    signalPid(victim, 'SIGKILL');
  });
}

function repeatedly(act: (times: number[]) => Promise<void>): Disturbance {
  const times: number[] = [];
  let stopped = false;
  let failed = false;
  const run = async (): Promise<void> => {
    while (!stopped) {
      await act(times);
      await sleep(rest);
    }
  };
  const running = run();
  // It is told when it is stopped.
  running.catch(() => {
    failed = true;
  });
  return {
    times,
    hasFailed: () => failed,
    stop: () => {
      stopped = true;
      return running;
    },
  };
}
