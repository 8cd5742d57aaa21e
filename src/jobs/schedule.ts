import type { JobRun } from '../protocol/jobs.js';
import type { Millis } from '../protocol/limits.js';
import type { JobConfig } from '../settings/jobs.js';
import type { Due } from './dispatch.js';
import type { Calendar } from './due.js';
import type { CalendarFor, JobState, JobsEffect, JobsState, Now } from './state.js';

/** A due time that is older was missed: nobody looked when it came. */
export const onTime: Millis = 60_000;
/** A clock that was wrong by more than this, and has been set back, must not silence a job until it catches up. */
export const clockTolerance: Millis = 3_600_000;
/** Missed due times are counted up to here. */
export const mostCounted = 1_000;

/** Hands on what is due, and computes when each job is due next. */
export function scheduled(
  state: JobsState,
  now: Now,
  calendarFor: CalendarFor,
): readonly [JobsState, readonly JobsEffect[]] {
  const effects: JobsEffect[] = [];
  let { seed } = state;
  const random = (): number => {
    const [value, next] = randomStep(seed);
    seed = next;
    return value;
  };
  const jobs = state.jobs.map((job) => {
    const again = handedAgain(job, now, effects);
    if (!job.config.enabled) return again;
    return advanced(again, { now, calendar: calendarFor(job.config), random, effects });
  });
  return [{ ...state, jobs, seed }, effects];
}

/** Whether nothing is left to be waited for by a stop. */
export function settled({ runs }: JobsState): boolean {
  return runs.length === 0;
}

function handedAgain(job: JobState, now: Now, effects: JobsEffect[]): JobState {
  const ready = job.failed.filter(({ againAt }) => now.ms >= againAt);
  if (ready.length === 0) return job;
  for (const { due } of ready) effects.push({ type: 'hand-on', due });
  return { ...job, failed: job.failed.filter(({ againAt }) => now.ms < againAt) };
}

interface Means {
  readonly now: Now;
  readonly calendar: Calendar;
  readonly random: () => number;
  readonly effects: JobsEffect[];
}

function advanced(job: JobState, means: Means): JobState {
  const { calendar, now, random, effects } = means;
  const { config } = job;
  const known = withClock(job, means);
  const at = (dueMs: number): number => dueMs + Math.floor(random() * (config.jitter + 1));
  const from = (dueMs: number | null): JobState['next'] =>
    dueMs === null ? null : { dueMs, atMs: at(dueMs) };
  let next = known.next ?? from(calendar.next(known.handledMs));
  if (next === null || next.atMs > now.wallMs) return { ...known, next };

  const horizon = now.wallMs - onTime - config.jitter;
  let missed = null;
  if (next.dueMs <= horizon) {
    missed = missedBetween(next.dueMs, horizon, calendar);
    next = from(calendar.next(horizon));
  }
  const dues: Due[] = [];
  while (next !== null && next.atMs <= now.wallMs) {
    dues.push({ job: config.name, dueMs: next.dueMs, missed: 0 });
    next = from(calendar.next(next.dueMs));
  }
  if (missed !== null) effects.push(...ofMissed(config, { missed, dues, now }));
  for (const due of dues) effects.push({ type: 'hand-on', due });
  const handledMs = dues.at(-1)?.dueMs ?? missed?.lastMs ?? known.handledMs;
  return { ...known, handledMs, next };
}

/** A time that was handled lies in the future: the clock has been set back. */
function withClock(job: JobState, { now, effects }: Means): JobState {
  const ahead = job.handledMs - now.wallMs;
  if (ahead <= clockTolerance) return job;
  const { name } = job.config;
  effects.push(
    { type: 'unhandled', job: name, afterMs: now.wallMs },
    { type: 'handled', config: job.config, untilMs: now.wallMs },
    {
      type: 'log',
      level: 'warn',
      message: `the clock was set back by ${Math.round(ahead / 60_000)} min: the job ${name} is scheduled from now on`,
      fields: { job: name },
    },
  );
  return { ...job, handledMs: now.wallMs, next: null };
}

interface Missed {
  readonly lastMs: number;
  readonly count: number;
}

function missedBetween(firstMs: number, horizon: number, calendar: Calendar): Missed {
  let count = 1;
  for (let dueMs: number | null = firstMs; count < mostCounted; count += 1) {
    dueMs = calendar.next(dueMs);
    if (dueMs === null || dueMs > horizon) return { lastMs: calendar.previous(horizon) ?? firstMs, count };
  }
  return { lastMs: calendar.previous(horizon) ?? firstMs, count };
}

/** One run stands for all that were missed: the one that is due now, else one of its own. */
function ofMissed(
  config: JobConfig,
  { missed, dues, now }: { readonly missed: Missed; readonly dues: Due[]; readonly now: Now },
): readonly JobsEffect[] {
  const { name } = config;
  const { count, lastMs } = missed;
  const many = count >= mostCounted ? `${count} or more` : `${count}`;
  const what = `the job ${name} missed ${many} due ${count === 1 ? 'time' : 'times'}`;
  const fields = { job: name, missed: count, lastMs };
  if (config.missed === 'once') {
    const [first] = dues;
    if (first === undefined) dues.push({ job: name, dueMs: lastMs, missed: count - 1 });
    else dues[0] = { ...first, missed: count };
    return [{ type: 'log', level: 'warn', message: `${what}: running it once`, fields }];
  }
  const run: JobRun = {
    ...{ id: `missed-${lastMs}`, job: name, dueMs: lastMs, by: 'schedule', startedMs: now.wallMs },
    ...{ endedMs: now.wallMs, verdict: 'missed', reason: null, attempts: 0, exitCode: null },
    ...{ signal: null, outputBytes: 0, missed: count },
  };
  return [
    { type: 'handled', config, untilMs: lastMs },
    { type: 'over', run },
    { type: 'log', level: 'warn', message: `${what}: not running it for them`, fields },
  ];
}

/** One step of mulberry32: a number in [0, 1) and the next seed. */
function randomStep(seed: number): readonly [value: number, seed: number] {
  const next = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(next ^ (next >>> 15), next | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return [((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296, next];
}
