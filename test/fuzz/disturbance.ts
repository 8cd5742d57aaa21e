import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { signalPid } from '../support/process.js';
import type { Service } from './services.js';

/** Something that goes on while scripts are played. */
export interface Disturbance {
  /** When it happened, ms of performance.now(). */
  readonly times: readonly number[];
  /** Ends it; rejects where it could not be done. */
  stop(): Promise<void>;
}

export const undisturbed: Disturbance = { times: [], stop: async () => {} };

/** Between two of them, so that scripts also meet workers that do nothing but serve, ms. */
const rest = 200;

/** Reload after reload, each of which has to succeed. */
export function reloads({
  control,
  node,
  main,
}: {
  control: string;
  node: string;
  main: string;
}): Disturbance {
  const args = [main, 'reload', '--no-soak', '--control-socket', control];
  return repeatedly(async (times) => {
    times.push(performance.now());
    await promisify(execFile)(node, args);
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
  const run = async (): Promise<void> => {
    while (!stopped) {
      await act(times);
      await sleep(rest);
    }
  };
  const running = run();
  // It is told when it is stopped.
  running.catch(() => {});
  return {
    times,
    stop: () => {
      stopped = true;
      return running;
    },
  };
}
