import { setTimeout as sleep } from 'node:timers/promises';
import { connectControl } from '../../src/control/client.js';
import { drainingPerSlot } from '../../src/core/policy.js';
import { signalPid } from '../support/process.js';
import { waitFor } from '../support/wait.js';
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
  // The daemon ends the oldest of more workers of a slot than these that drain, with what it still has: on a machine that is
  // quick to reload that would be a client that reads slowly.
  const most = drainingPerSlot - 1;
  const mayReload = async (): Promise<boolean> => {
    const { workers } = await client.status();
    const draining = workers.filter(({ phase }) => phase === 'draining').map(({ id }) => id);
    return draining.every((id) => draining.filter((other) => other === id).length <= most);
  };
  return repeatedly(async (times) => {
    await waitFor('workers that have drained', mayReload, { timeout: 300_000 });
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
