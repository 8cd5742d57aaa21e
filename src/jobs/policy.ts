import type { JobRun, JobVerdict } from '../protocol/jobs.js';
import { killGrace, type Millis } from '../protocol/limits.js';
import type { JobConfig } from '../settings/jobs.js';
import { scheduled } from './schedule.js';
import type {
  CalendarFor,
  Ending,
  JobState,
  JobsEffect,
  JobsEvent,
  JobsState,
  Now,
  Run,
  RunPhase,
} from './state.js';

/** Between SIGTERM and SIGKILL. */
export const endGrace: Millis = 5_000;
/** How many runs of a job may wait (`overlap = "queue"`). */
export const mostQueued = 100;
/** A due time that could not be handed on is handed on again after this time. */
export const handAgain: Millis = 5_000;
const longestBackoff: Millis = 3_600_000;

export const initialState = (seed: number): JobsState => ({ jobs: [], runs: [], stop: null, seed });

type Step = readonly [JobsState, readonly JobsEffect[]];

/**
 * All decisions about jobs: when they are due, what becomes of those that overlap, fail or take too long, and what a stop
 * does to them. A pure function, as the core's.
 */
export function step(state: JobsState, event: JobsEvent, now: Now, calendarFor: CalendarFor): Step {
  switch (event.type) {
    case 'configure':
      return join(configured(state, event, now), (next) => ticked(next, now, calendarFor));
    case 'tick':
      return ticked(state, now, calendarFor);
    case 'run':
      return asked(state, event, now);
    case 'replace':
      return replaced(state, event, now);
    case 'not-handed':
      return notHanded(state, event, now);
    case 'exited':
      return exited(state, event, now);
    case 'stop': {
      const stop = {
        endAt: now.ms + Math.max(0, event.within - endGrace),
        killAt: now.ms + Math.max(0, event.within - killGrace),
      };
      // A second stop must not give more time; it may give less.
      const sooner =
        state.stop === null
          ? stop
          : {
              endAt: Math.min(stop.endAt, state.stop.endAt),
              killAt: Math.min(stop.killAt, state.stop.killAt),
            };
      return join(stopped({ ...state, stop: sooner }, now), (next) => ticked(next, now, calendarFor));
    }
  }
}

/** In how many ms something is due, of either clock; null: nothing is. */
export function nextDeadline({ jobs, runs, stop }: JobsState, now: Now): Millis | null {
  const due =
    stop === null
      ? jobs.flatMap(({ next, failed }) => [
          ...(next === null ? [] : [next.atMs - now.wallMs]),
          ...failed.map(({ againAt }) => againAt - now.ms),
        ])
      : [];
  const limits = runs.flatMap(({ phase }) => limitsOf(phase, stop).map((at) => at - now.ms));
  const all = [...due, ...limits];
  return all.length === 0 ? null : Math.max(0, Math.min(...all));
}

function limitsOf(phase: RunPhase, stop: JobsState['stop']): readonly Millis[] {
  switch (phase.name) {
    case 'queued':
      return [];
    case 'running':
      return [phase.endAt, stop?.endAt ?? null].filter((at) => at !== null);
    case 'ending':
      return phase.killAt === null ? [] : [Math.min(phase.killAt, stop?.killAt ?? phase.killAt)];
    case 'backoff':
      return [phase.until];
  }
}

/** Whether a run of the job is under way, one that waits for its next attempt included. */
export function isActive({ phase }: Run): boolean {
  return phase.name !== 'queued';
}

/** What is known of a run that is not over. */
export function describe(run: Run): JobRun {
  return recordOf(run, { endedMs: null, verdict: null });
}

/** The new list of jobs. Runs go on by the rules with which they began; those of a job that is gone end by `on_stop`. */
function configured(
  state: JobsState,
  { jobs, handled }: Extract<JobsEvent, { type: 'configure' }>,
  now: Now,
): Step {
  const effects: JobsEffect[] = [];
  const next = jobs.map((config): JobState => {
    const before = state.jobs.find((job) => job.config.name === config.name);
    const isSame = before !== undefined && isSameSchedule(before.config, config);
    const known = isSame ? before.handledMs : before === undefined ? handled[config.name] : undefined;
    // The due times of a schedule that is new, or was not enabled, begin now.
    if (known === undefined && config.enabled) effects.push({ type: 'handled', config, untilMs: now.wallMs });
    if (!config.enabled) effects.push({ type: 'forget', job: config.name });
    return { config, handledMs: known ?? now.wallMs, next: null, failed: before?.failed ?? [] };
  });
  const names = new Set(jobs.map(({ name }) => name));
  const gone = state.jobs.filter(({ config }) => !names.has(config.name));
  for (const { config } of gone) effects.push({ type: 'forget', job: config.name });
  let result: Step = [{ ...state, jobs: next }, effects];
  for (const run of state.runs) {
    if (names.has(run.config.name)) continue;
    const why = { verdict: 'ended' as const, reason: 'a reload removed the job' };
    if (run.phase.name === 'queued') result = join(result, (each) => over(each, run, { ...why, now }));
    else if (run.config.onStop === 'end') result = join(result, (each) => end(each, run, { ...why, now }));
  }
  return result;
}

function isSameSchedule(one: JobConfig, other: JobConfig): boolean {
  return one.schedule === other.schedule && one.timezone === other.timezone && one.enabled && other.enabled;
}

/** What is due by either clock. */
function ticked(state: JobsState, now: Now, calendarFor: CalendarFor): Step {
  let result: Step = state.stop === null ? scheduled(state, now, calendarFor) : [state, []];
  for (const run of result[0].runs) {
    result = join(result, (each) => limited(each, run, now));
  }
  return result;
}

function limited(state: JobsState, run: Run, now: Now): Step {
  const { phase, config } = run;
  switch (phase.name) {
    case 'queued':
      return [state, []];
    case 'running':
      if (phase.endAt !== null && now.ms >= phase.endAt) {
        const reason = `it took longer than ${config.timeout / 1000} s`;
        return end(state, run, { verdict: 'timeout', reason, now });
      }
      if (state.stop === null || now.ms < state.stop.endAt) return [state, []];
      return end(state, run, { verdict: 'ended', reason: 'the service stopped', now });
    case 'ending': {
      const killAt = Math.min(phase.killAt ?? Infinity, state.stop?.killAt ?? Infinity);
      if (phase.killAt === null || now.ms < killAt) return [state, []];
      const killed = withPhase(state, run, { ...phase, killAt: null });
      return [killed, [{ type: 'signal', id: run.id, signal: 'SIGKILL' }]];
    }
    case 'backoff':
      return now.ms < phase.until ? [state, []] : start(state, run, now);
  }
}

/** A run is wanted: it begins, waits, or is left out. */
function asked(state: JobsState, { id, job, due, by }: Extract<JobsEvent, { type: 'run' }>, now: Now): Step {
  const config = state.jobs.find((each) => each.config.name === job)?.config;
  // A due time that was under way while a reload removed its job.
  if (config === undefined) return [state, []];
  const run: Run = {
    ...{ id, config, due, by, startedMs: now.wallMs, attempts: 0 },
    phase: { name: 'queued' },
  };
  const others = state.runs.filter((each) => each.config.name === job);
  const active = others.find(isActive);
  const skip = (reason: string): Step => over(state, run, { verdict: 'skipped', reason, now });
  if (state.stop !== null) return skip('the service is stopping');
  const added: JobsState = { ...state, runs: [...state.runs, run] };
  if (active === undefined) return start(added, run, now);
  switch (config.overlap) {
    case 'skip':
      return skip(`the run ${active.id} is not over`);
    case 'queue':
      return others.length > mostQueued ? skip(`${mostQueued} runs wait already`) : [added, []];
    case 'replace': {
      const why = { verdict: 'replaced' as const, reason: `the run ${id} was due`, now };
      let result: Step = [added, []];
      for (const other of others) {
        result = join(result, (each) => (isActive(other) ? end(each, other, why) : over(each, other, why)));
      }
      return result;
    }
  }
}

/** The next run is not of this state: the fleet has it. */
function replaced(state: JobsState, { due, byMs }: Extract<JobsEvent, { type: 'replace' }>, now: Now): Step {
  const run = state.runs.find(({ config, due: of }) => config.name === due.job && of?.dueMs === due.dueMs);
  if (run === undefined) return [state, []];
  const reason = `a run was due at ${new Date(byMs).toISOString()}`;
  const why = { verdict: 'replaced' as const, reason, now };
  return isActive(run) ? end(state, run, why) : over(state, run, why);
}

function start(state: JobsState, run: Run, now: Now): Step {
  const { config, id, due } = run;
  const attempt = run.attempts + 1;
  const endAt = config.timeout === 0 ? null : now.ms + config.timeout;
  const startedMs = run.attempts === 0 ? now.wallMs : run.startedMs;
  const begun: Run = { ...run, startedMs, attempts: attempt, phase: { name: 'running', endAt } };
  const runs = state.runs.map((each) => (each.id === id ? begun : each));
  return [{ ...state, runs }, [{ type: 'start', id, config, due, attempt, run: describe(begun) }]];
}

/** Has a run end: by SIGTERM at first. One that ends already keeps its reason. */
function end(
  state: JobsState,
  run: Run,
  { verdict, reason, now }: { readonly verdict: JobVerdict; readonly reason: string; readonly now: Now },
): Step {
  if (run.phase.name === 'ending') return [state, []];
  if (run.phase.name !== 'running') return over(state, run, { verdict, reason, now });
  const killAt = Math.min(now.ms + endGrace, state.stop?.killAt ?? Number.POSITIVE_INFINITY);
  const ending = withPhase(state, run, { name: 'ending', verdict, reason, killAt });
  return [ending, [{ type: 'signal', id: run.id, signal: 'SIGTERM' }]];
}

function exited(state: JobsState, { id, ending }: Extract<JobsEvent, { type: 'exited' }>, now: Now): Step {
  const run = state.runs.find((each) => each.id === id);
  if (run === undefined) return [state, []];
  const { verdict, reason } = outcome(run, ending);
  const isAgain =
    (verdict === 'failed' || verdict === 'timeout' || verdict === 'memory') &&
    state.stop === null &&
    run.attempts <= run.config.retries;
  if (!isAgain) return over(state, run, { verdict, reason, ending, now });
  const delay = Math.min(longestBackoff, run.config.backoff * 2 ** (run.attempts - 1));
  const message = `the job ${run.config.name} ${inWords(verdict, reason)}: attempt ${run.attempts + 1} of ${run.config.retries + 1} in ${delay / 1000} s`;
  const waiting = withPhase(state, run, { name: 'backoff', until: now.ms + delay });
  return [waiting, [{ type: 'log', level: 'warn', message, fields: { job: run.config.name, run: id } }]];
}

function outcome(
  { phase }: Run,
  { code, signal, outOfMemory, notStarted }: Ending,
): { readonly verdict: JobVerdict; readonly reason: string | null } {
  if (outOfMemory) return { verdict: 'memory', reason: 'it took more than memory_limit' };
  if (phase.name === 'ending') return { verdict: phase.verdict, reason: phase.reason };
  if (notStarted !== null) return { verdict: 'failed', reason: notStarted };
  if (code === 0) return { verdict: 'done', reason: null };
  const reason = signal === null ? `it ended with status ${code}` : `it was ended by ${signal}`;
  return { verdict: 'failed', reason };
}

interface Over {
  readonly verdict: JobVerdict;
  readonly reason: string | null;
  readonly now: Now;
  readonly ending?: Ending;
}

/** A run is over. The next one that waits for it begins. */
function over(state: JobsState, run: Run, { verdict, reason, now, ending }: Over): Step {
  const rest: JobsState = { ...state, runs: state.runs.filter(({ id }) => id !== run.id) };
  const record = recordOf(run, { verdict, reason, endedMs: now.wallMs, ...(ending ?? {}) });
  const result: Step = [rest, [{ type: 'over', run: record }, ...told(record)]];
  const others = rest.runs.filter(({ config }) => config.name === run.config.name);
  const [waiting] = others;
  if (waiting === undefined || others.some(isActive) || state.stop !== null) return result;
  return join(result, (each) => start(each, waiting, now));
}

function told(run: JobRun): readonly JobsEffect[] {
  const { job, id, verdict, reason, attempts, exitCode, signal } = run;
  if (verdict === null) return [];
  const took = attempts === 0 || run.endedMs === null ? {} : { tookMs: run.endedMs - run.startedMs };
  const fields = { job, run: id, verdict, attempts, exitCode, signal, ...took };
  const level = isBad(verdict) ? 'error' : verdict === 'done' ? 'info' : 'warn';
  return [{ type: 'log', level, message: `the job ${job} ${inWords(verdict, reason)}`, fields }];
}

export function isBad(verdict: JobVerdict): boolean {
  return verdict === 'failed' || verdict === 'timeout' || verdict === 'memory' || verdict === 'lost';
}

/** Behind `the job NAME`. */
export function inWords(verdict: JobVerdict, reason: string | null): string {
  const words: Readonly<Record<JobVerdict, string>> = {
    done: 'is done',
    failed: 'failed',
    timeout: 'was ended at its timeout',
    memory: 'was killed for its memory',
    ended: 'was ended',
    replaced: 'was replaced',
    skipped: 'was left out',
    missed: 'missed its time',
    lost: 'was lost',
  };
  return reason === null ? words[verdict] : `${words[verdict]}: ${reason}`;
}

/** What a stop ends at once, and what never begins for it. */
function stopped(state: JobsState, now: Now): Step {
  let result: Step = [state, []];
  const reason = 'the service stopped';
  for (const run of state.runs) {
    if (run.phase.name !== 'running' || run.config.onStop === 'end')
      result = join(result, (each) => end(each, run, { verdict: 'ended', reason, now }));
  }
  return result;
}

function notHanded(
  state: JobsState,
  { due, error }: Extract<JobsEvent, { type: 'not-handed' }>,
  now: Now,
): Step {
  const message = `the job ${due.job} is due, but could not be started: trying again in ${handAgain / 1000} s`;
  const jobs = state.jobs.map((job) =>
    job.config.name === due.job
      ? { ...job, failed: [...job.failed, { due, againAt: now.ms + handAgain }] }
      : job,
  );
  const fields = { job: due.job, dueMs: due.dueMs, error };
  return [{ ...state, jobs }, [{ type: 'log', level: 'warn', message, fields }]];
}

function withPhase(state: JobsState, run: Run, phase: RunPhase): JobsState {
  const runs = state.runs.map((each) => (each.id === run.id ? { ...each, phase } : each));
  return { ...state, runs };
}

interface RecordFields {
  readonly endedMs: number | null;
  readonly verdict: JobVerdict | null;
  readonly reason?: string | null;
  readonly code?: number | null;
  readonly signal?: string | null;
  readonly outputBytes?: number;
}

function recordOf(run: Run, fields: RecordFields): JobRun {
  const { id, config, due, by, startedMs, attempts } = run;
  const { endedMs, verdict, reason = null, code = null, signal = null, outputBytes = 0 } = fields;
  return {
    ...{ id, job: config.name, dueMs: due?.dueMs ?? null, by, startedMs, endedMs, verdict, reason, attempts },
    ...{ exitCode: code, signal, outputBytes, missed: due?.missed ?? 0 },
  };
}

function join([state, effects]: Step, next: (state: JobsState) => Step): Step {
  const [after, more] = next(state);
  return [after, [...effects, ...more]];
}
