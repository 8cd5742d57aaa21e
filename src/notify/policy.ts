import type { Millis } from '../protocol/limits.js';
import type { Health } from '../protocol/stats.js';
import { mebibytes, workerName } from '../protocol/words.js';

/** What somebody is told about. `test`: an operator tries it. */
export type NewsType = 'crash-loop' | 'rollback' | 'deploy' | 'unhealthy' | 'memory' | 'job' | 'test';

/** What the master sees, and what may be worth telling. */
export type Observation =
  /** A worker died, and nobody asked for it. */
  | { readonly type: 'death'; readonly worker: number | null; readonly kind: string; readonly cause: string }
  /** The service ends by itself. */
  | { readonly type: 'ending'; readonly cause: string; readonly exitCode: number }
  | { readonly type: 'rollback'; readonly generation: number; readonly cause: string; readonly by: string }
  /** A deploy did not bring its release into the service. */
  | {
      readonly type: 'deploy';
      readonly release: string;
      readonly verdict: string;
      readonly cause: string;
      readonly by: string;
      readonly origin: string;
    }
  /** Memory is short. `worker`: the one that is replaced for it; null: replacing any would not help. */
  | {
      readonly type: 'memory';
      readonly worker: number | null;
      readonly usedBytes: number;
      readonly limitBytes: number;
    }
  /** A job failed, took too long or was lost, after its last attempt. */
  | {
      readonly type: 'job';
      readonly job: string;
      readonly verdict: string;
      readonly cause: string;
      readonly attempts: number;
    }
  | Standing;

/** How the service stands. */
export interface Standing {
  readonly type: 'standing';
  readonly wanted: number;
  readonly ready: number;
  /** Workers that serve and are not healthy. */
  readonly ill: readonly { readonly worker: number; readonly health: Health }[];
}

/** One thing to tell. */
export interface News {
  readonly type: NewsType;
  /** One sentence. */
  readonly message: string;
  readonly cause: string;
  /** Numbers and names in it, with their units. */
  readonly details: Readonly<Record<string, string | number>>;
  /** How many of its kind were not told since the last one, for the interval's sake. */
  readonly untold: number;
}

export interface Rules {
  /** News of a kind is told at most this often. */
  readonly interval: Millis;
  /** A worker that is not healthy, or a service that lacks workers, for this long is news. */
  readonly unhealthyAfter: Millis;
}

/** Two of these may come from one cause, and each of them is worth a word. */
export type Topic = Exclude<NewsType, 'test' | 'job'> | 'ending' | `job ${string}`;

export interface PolicyState {
  readonly deaths: readonly Millis[];
  /** Since when each worker is not healthy, by its number; 0: since when the service lacks workers. */
  readonly since: Readonly<Record<number, Millis>>;
  /** Those of them that were told, or counted as untold. */
  readonly noted: readonly number[];
  readonly told: Told;
}

/** When each topic was told last. It outlives the daemon: a service that crashes in a loop starts again each time. */
export type Told = Readonly<Partial<Record<Topic, { readonly atMs: Millis; readonly untold: number }>>>;

/** So many deaths within so long are a loop. The master goes on restarting, later each time; see `restart.intensity`. */
const loopDeaths = 3;
const loopWindow: Millis = 60_000;

export function initialState(told: Told = {}): PolicyState {
  return { deaths: [], since: {}, noted: [], told };
}

/** @param now wall clock, ms since 1970 */
export function decide(
  state: PolicyState,
  seen: Observation,
  { now, rules }: { readonly now: Millis; readonly rules: Rules },
): readonly [PolicyState, News | null] {
  switch (seen.type) {
    case 'death': {
      const deaths = [...state.deaths, now].filter((at) => now - at <= loopWindow);
      const next = { ...state, deaths };
      if (deaths.length < loopDeaths) return [next, null];
      return tell(next, 'crash-loop', { ...inLoop(seen, deaths.length), now, rules });
    }
    case 'ending': {
      const { cause, exitCode } = seen;
      const message = `the service ends by itself with status ${exitCode}: ${cause}`;
      return tell(state, 'ending', { type: 'crash-loop', message, cause, details: { exitCode }, now, rules });
    }
    case 'rollback': {
      const { generation, cause, by } = seen;
      const message = `the reload to generation ${generation} was rolled back: ${cause}`;
      return tell(state, 'rollback', { message, cause, details: { generation, by }, now, rules });
    }
    case 'deploy': {
      const { release, verdict, cause, by, origin } = seen;
      const message = `the deploy ${release} by ${by} did not come into service (${verdict}): ${cause}`;
      const details = { release, verdict, by, origin };
      return tell(state, 'deploy', { message, cause, details, now, rules });
    }
    case 'memory':
      return tell(state, 'memory', { ...shortage(seen), now, rules });
    case 'job': {
      const { job, verdict, cause, attempts } = seen;
      const message = `the job ${job} did not succeed (${verdict}): ${cause}`;
      const details = { job, verdict, attempts };
      return tell(state, `job ${job}`, { type: 'job', message, cause, details, now, rules });
    }
    case 'standing':
      return standing(state, seen, { now, rules });
  }
}

interface Facts {
  readonly type?: NewsType;
  readonly message: string;
  readonly cause: string;
  readonly details: News['details'];
  readonly now: Millis;
  readonly rules: Rules;
}

function tell(state: PolicyState, topic: Topic, facts: Facts): readonly [PolicyState, News | null] {
  const { type = topic as NewsType, message, cause, details, now, rules } = facts;
  const last = state.told[topic];
  // A clock that was set back must not silence anybody for long.
  const isTooSoon = last !== undefined && now >= last.atMs && now - last.atMs < rules.interval;
  const untold = last?.untold ?? 0;
  const entry = isTooSoon ? { atMs: last.atMs, untold: untold + 1 } : { atMs: now, untold: 0 };
  const next = { ...state, told: { ...state.told, [topic]: entry } };
  return [next, isTooSoon ? null : { type, message, cause, details, untold }];
}

function inLoop({ worker, kind, cause }: Extract<Observation, { type: 'death' }>, deaths: number) {
  const who = workerName(worker);
  const within = loopWindow / 1000;
  return {
    message: `workers die in a loop: ${deaths} deaths within ${within} s, the last of ${who} (${kind}): ${cause}`,
    cause,
    details: { deaths, withinSeconds: within, kind, ...(worker === null ? {} : { worker }) },
  };
}

function shortage({ worker, usedBytes, limitBytes }: Extract<Observation, { type: 'memory' }>) {
  const cause = `${mebibytes(usedBytes)} of ${mebibytes(limitBytes)} MiB are used`;
  const what = worker === null ? 'replacing workers would not help' : `worker ${worker} is being replaced`;
  return {
    message: `memory is short, ${cause}: ${what}`,
    cause,
    details: { usedBytes, limitBytes, ...(worker === null ? {} : { worker }) },
  };
}

/** Once for each that lasts. */
function standing(
  state: PolicyState,
  { wanted, ready, ill }: Standing,
  { now, rules }: { readonly now: Millis; readonly rules: Rules },
): readonly [PolicyState, News | null] {
  const bad = new Map(ill.map(({ worker, health }) => [worker, health as string]));
  if (ready < wanted) bad.set(service, 'lacking');
  if (bad.size === 0 && Object.keys(state.since).length === 0) return [state, null];
  const since = Object.fromEntries([...bad.keys()].map((who) => [who, state.since[who] ?? now]));
  const noted = state.noted.filter((who) => bad.has(who));
  const due = [...bad.keys()].find(
    (who) => !noted.includes(who) && now - (since[who] ?? now) >= rules.unhealthyAfter,
  );
  if (due === undefined) return [{ ...state, since, noted }, null];
  const forSeconds = Math.floor((now - (since[due] ?? now)) / 1000);
  const next = { ...state, since, noted: [...noted, due] };
  if (due === service) {
    const cause = `${ready} of ${wanted} workers are ready`;
    const details = { ready, wanted, forSeconds };
    return tell(next, 'unhealthy', {
      message: `the service lacks workers for ${forSeconds} s: ${cause}`,
      ...{ cause, details, now, rules },
    });
  }
  const cause = String(bad.get(due));
  const details = { worker: due, health: cause, forSeconds };
  return tell(next, 'unhealthy', {
    message: `worker ${due} has been ${cause} for ${forSeconds} s`,
    ...{ cause, details, now, rules },
  });
}

/** In the place of a worker's number, which begins at 1. */
const service = 0;

/** What fails is tried again, so often at most, within about four minutes. */
export const mostAttempts = 8;
const firstDelay: Millis = 1_000;

/** @param random from 0 to below 1 */
export function retryDelay(failures: number, random: number): Millis {
  return Math.round(firstDelay * 2 ** (failures - 1) * (0.75 + random / 2));
}
