import { Cron } from 'croner';
import { wrong } from '../backplane/check.js';
import { type Engine, EngineError, type HeldLock, type Job } from '../backplane/engine.js';
import type { Schedule, ScheduledTime } from './face.js';

export interface ScheduleSeam {
  readonly engine: Engine;
  readonly name: string;
  readonly cron: string;
  readonly timezone: string | undefined;
  readonly attempts: number;
  readonly backoffMs: number;
  readonly handler: (time: ScheduledTime, signal: AbortSignal) => unknown;
}

/** Longer waits are made of several: a timer of Node ends after 24 days, and a laptop may sleep. ms */
const longestWait = 3_600_000;
/** The lock against two runs at once is extended three times as often, ms. */
const ttlMs = 30_000;

/**
 * Every worker computes the times and adds a job for each, under an id that is the same in all: the queue takes it once, and
 * one worker gets it. So a schedule runs once per host, and once in the fleet where Redis connects the hosts.
 *
 * @throws EngineError `input` for an expression or a zone that is none
 */
export function startSchedule(seam: ScheduleSeam): Schedule {
  const { engine, name, attempts, backoffMs } = seam;
  const job = parse(seam);
  const queue = `schedule:${name}`;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;

  const wait = (): void => {
    const next = job.nextRun();
    if (next === null || isClosed) return;
    const arm = (): void => {
      const left = next.getTime() - Date.now();
      if (left <= 0) return due(next.getTime());
      timer = setTimeout(arm, Math.min(left, longestWait));
    };
    arm();
  };
  const due = (dueAtMs: number): void => {
    const id = new Date(dueAtMs).toISOString();
    engine
      .add(queue, { id, data: { dueAtMs }, attempts, backoffMs })
      .catch((error: Error) =>
        process.emitWarning(`schedule ${JSON.stringify(name)}, due at ${id}: ${error.message}`),
      );
    wait();
  };
  const working = engine.work(queue, 1, (each, signal) => runOnce(seam, each, signal));
  wait();
  return {
    next: () => job.nextRun(),
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      await working.close();
    },
  };
}

function parse({ name, cron, timezone }: ScheduleSeam): Cron {
  const field = `schedule(${JSON.stringify(name)})`;
  try {
    const job = new Cron(cron, { paused: true, ...(timezone === undefined ? {} : { timezone }) });
    job.nextRun();
    return job;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw wrong(
      field,
      timezone === undefined ? cron : [cron, timezone],
      `a cron expression such as '0 2 * * *', and a time zone such as 'America/Sao_Paulo' (${why})`,
    );
  }
}

/** A time that comes while the one before still runs is skipped, in whichever worker that is. */
async function runOnce(
  { engine, name, handler }: ScheduleSeam,
  job: Job,
  signal: AbortSignal,
): Promise<null> {
  const lock = await engine.acquire(`schedule:${name}`, ttlMs, 0);
  if (lock === null) return null;
  const lost = new AbortController();
  const stop = keepExtending(lock, ttlMs, (error) => lost.abort(error));
  try {
    const { dueAtMs } = job.data as { dueAtMs: number };
    await handler({ dueAtMs, attempt: job.attempt }, AbortSignal.any([signal, lost.signal]));
    return null;
  } finally {
    stop();
    await lock.release().catch(() => {});
  }
}

/** Extends it often enough. @param onLost once. @returns what ends that */
export function keepExtending(lock: HeldLock, ttl: number, onLost: (error: unknown) => void): () => void {
  let deadline = performance.now() + ttl;
  let unanswered = 0;
  const timer = setInterval(
    () => {
      const sentAt = performance.now();
      if (unanswered > 0 && sentAt >= deadline) {
        clearInterval(timer);
        return onLost(new EngineError('lost', `the lock was not extended within ${ttl} ms: nobody answers`));
      }
      unanswered++;
      lock.extend().then(
        () => {
          unanswered--;
          deadline = sentAt + ttl;
        },
        (error: unknown) => {
          unanswered--;
          const isLost = (error as { code?: unknown }).code === 'lost';
          if (!isLost && performance.now() < deadline) return;
          clearInterval(timer);
          onLost(error);
        },
      );
    },
    Math.max(1, ttl / 3),
  );
  return () => clearInterval(timer);
}
