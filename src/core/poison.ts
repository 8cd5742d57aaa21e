import type { Beat } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import { type Blocked, type Fingerprint, fingerprintOf, type RequestNote } from '../protocol/requests.js';
import { type Fatality, sample, standsOut } from './base-rate.js';
import type { Death } from './deaths.js';
import type { Effect } from './effects.js';
import type { State, Suspect } from './model.js';
import type { PoisonPolicy, Policy } from './policy.js';
import { log, type Result, unchanged } from './result.js';
import { isUp } from './worker.js';

/** So many kinds of requests are kept in mind: the most suspicious ones. */
const mostSuspects = 20;
/** ... and so many deaths. */
const mostFatalities = 100;
const minute: Millis = 60_000;

/** What a beat tells of the traffic. */
export function counted(state: State, beat: Beat, now: Millis, { poison }: Policy): State {
  const mix = poison.deaths === 0 ? state.mix : sample(state.mix, beat, now);
  return mix === state.mix ? state : { ...state, mix };
}

/** Signals that a process brings upon itself: signal(7). Others are sent, by an operator or by the kernel for memory. */
const faults: ReadonlySet<string> = new Set([
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGILL',
  'SIGSEGV',
  'SIGSYS',
  'SIGTRAP',
]);

/** Whether the worker itself has caused its death, so that what it was doing may be to blame. */
export function isOwnFault({ kind, worker, exit: { signal }, oomKills }: Death): boolean {
  if (kind === 'hang') {
    const state = worker.vitals.silence?.capture?.state;
    return state !== 'stopped' && state !== 'starved';
  }
  if (worker.failure !== null) return true;
  return oomKills === 0 && (signal === null || faults.has(signal));
}

/** Each kind of request that was in flight when a worker died by its own fault is a little more suspicious. */
export function mark(
  state: State,
  requests: readonly RequestNote[],
  now: Millis,
  { poison }: Policy,
): Result {
  if (poison.deaths === 0 || requests.length === 0) return unchanged(state);
  const kept = stillSuspected(state.suspects, now, poison);
  const marked = distinct(requests).reduce((suspects, kind) => withDeath(suspects, kind, now), kept);
  const fatalities: readonly Fatality[] = [
    ...state.fatalities.filter(({ at }) => now - at < poison.window).slice(-mostFatalities),
    { at: now, inFlight: requests.length },
  ];
  const frequent = marked.filter(
    ({ deaths, told }) => deaths.length >= poison.deaths && deaths.length !== told,
  );
  const judged = new Map(
    frequent.map((suspect) => [
      suspect,
      standsOut(state.mix, suspect, { all: fatalities, hit: suspect.deaths.length }),
    ]),
  );
  const proven = frequent.filter((suspect) => judged.get(suspect) === true);
  // What is common is in flight at deaths as well: it is not accused.
  const news = frequent.filter((suspect) => judged.get(suspect) !== false);
  const suspects = marked.map((suspect) => {
    if (!news.includes(suspect)) return suspect;
    const block = proven.includes(suspect) ? blocking(now, poison) : {};
    return { ...suspect, told: suspect.deaths.length, ...block };
  });
  const next = { ...state, fatalities, suspects: [...suspects].sort(bySuspicion).slice(0, mostSuspects) };
  const told = news.map((suspect) => log('error', accusation(suspect, poison, proven.includes(suspect))));
  return [next, [...told, ...(proven.length > 0 && poison.block > 0 ? blockAll(next, now) : [])]];
}

/** Lets in again what has been kept out for long enough, and forgets what was long ago. */
export function forgetSuspects(state: State, now: Millis, { poison }: Policy): Result {
  const isOver = ({ blockedUntil }: Suspect) => blockedUntil !== null && blockedUntil <= now;
  const kept = stillSuspected(state.suspects, now, poison);
  if (kept === state.suspects && !kept.some(isOver)) return unchanged(state);
  const suspects = kept.map((suspect) => (isOver(suspect) ? { ...suspect, blockedUntil: null } : suspect));
  const next = {
    ...state,
    suspects: suspects.filter(({ deaths, blockedUntil }) => deaths.length > 0 || blockedUntil !== null),
  };
  return [next, state.suspects.some(isOver) ? blockAll(next, now) : []];
}

/** What new workers are told; nothing where nothing is blocked. */
export function blockFor(state: State, keys: readonly WorkerKey[], now: Millis): readonly Effect[] {
  const requests = blocked(state, now);
  return requests.length === 0 ? [] : keys.map((key): Effect => ({ type: 'block', key, requests }));
}

/** When something is let in again. */
export function blockDeadlines({ suspects }: State): readonly Millis[] {
  return suspects.flatMap(({ blockedUntil }) => (blockedUntil === null ? [] : [blockedUntil]));
}

function blockAll(state: State, now: Millis): readonly Effect[] {
  const requests = blocked(state, now);
  return state.workers.filter(isUp).map(({ key }): Effect => ({ type: 'block', key, requests }));
}

function blocked({ suspects }: State, now: Millis): readonly Blocked[] {
  return suspects.flatMap(({ method, route, blockedUntil }) =>
    blockedUntil !== null && blockedUntil > now ? [{ method, route, for: blockedUntil - now }] : [],
  );
}

function blocking(now: Millis, { block }: PoisonPolicy): Partial<Suspect> {
  return block === 0 ? {} : { blockedUntil: now + block };
}

/** The very same where none is too old. */
function stillSuspected(
  suspects: readonly Suspect[],
  now: Millis,
  { deaths: proof, window }: PoisonPolicy,
): readonly Suspect[] {
  const isOld = (at: Millis) => now - at >= window;
  if (!suspects.some(({ deaths }) => deaths.some(isOld))) return suspects;
  return suspects.map((suspect) => {
    const deaths = suspect.deaths.filter((at) => !isOld(at));
    return { ...suspect, deaths, told: deaths.length < proof ? 0 : suspect.told };
  });
}

function withDeath(suspects: readonly Suspect[], kind: Fingerprint, now: Millis): readonly Suspect[] {
  const known = suspects.find((suspect) => isSame(suspect, kind));
  if (known === undefined) return [...suspects, { ...kind, deaths: [now], blockedUntil: null, told: 0 }];
  return suspects.map((suspect) =>
    suspect === known ? { ...suspect, deaths: [...suspect.deaths, now] } : suspect,
  );
}

function distinct(requests: readonly RequestNote[]): readonly Fingerprint[] {
  const kinds = requests.map(fingerprintOf);
  return kinds.filter((kind, index) => kinds.findIndex((other) => isSame(other, kind)) === index);
}

function isSame(one: Fingerprint, other: Fingerprint): boolean {
  return one.method === other.method && one.route === other.route;
}

function bySuspicion(one: Suspect, other: Suspect): number {
  const isBlocked = ({ blockedUntil }: Suspect) => (blockedUntil === null ? 0 : 1);
  const last = ({ deaths }: Suspect) => deaths.at(-1) ?? 0;
  return (
    isBlocked(other) - isBlocked(one) || other.deaths.length - one.deaths.length || last(other) - last(one)
  );
}

function accusation(
  { method, route, deaths }: Suspect,
  { window, block }: PoisonPolicy,
  isProven: boolean,
): string {
  const what = `${method} ${route} was in flight when ${deaths.length} workers died within ${span(window)}`;
  if (!isProven) return `${what}; too little traffic was seen to tell whether that is chance`;
  return block === 0 ? what : `${what}: it is answered with 503 for ${span(block)}`;
}

function span(ms: Millis): string {
  return ms % minute === 0 ? `${ms / minute} min` : `${ms / 1_000} s`;
}
