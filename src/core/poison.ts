import type { Heartbeat } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import { type Blocked, type Fingerprint, fingerprintOf, type RequestNote } from '../protocol/requests.js';
import type { Effect } from './effects.js';
import type { PoisonPolicy, Policy } from './policy.js';
import type { Fatality, Mix, State, Suspect } from './state.js';
import type { Transaction } from './transaction.js';
import { isUp } from './workers.js';

/** So many kinds of requests are kept in mind: the most suspicious ones. */
const mostSuspects = 20;
/** ... and so many deaths. */
const mostFatalities = 100;
const minute: Millis = 60_000;

/** What a heartbeat tells of the traffic. */
export function countTraffic(t: Transaction, heartbeat: Heartbeat): void {
  if (t.policy.poison.deaths === 0) return;
  const mix = sample(t.state.mix, heartbeat, t.now);
  if (mix !== t.state.mix) t.update({ mix });
}

/** Each kind of request that was in flight when a worker died by its own fault is a little more suspicious. */
export function suspect(t: Transaction, requests: readonly RequestNote[]): void {
  const { now, state } = t;
  const { poison } = t.policy;
  if (poison.deaths === 0 || requests.length === 0) return;
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
  t.update({ fatalities, suspects: [...suspects].sort(bySuspicion).slice(0, mostSuspects) });
  for (const suspect of news) t.log('error', accusation(suspect, poison, proven.includes(suspect)));
  if (proven.length > 0 && poison.block > 0) blockAll(t);
}

/** Lets in again what has been kept out for long enough, and forgets what was long ago. */
export function forgetSuspects(t: Transaction): void {
  const { suspects } = t.state;
  const isOver = ({ blockedUntil }: Suspect) => blockedUntil !== null && blockedUntil <= t.now;
  const kept = stillSuspected(suspects, t.now, t.policy.poison);
  if (kept === suspects && !kept.some(isOver)) return;
  const released = kept.map((suspect) => (isOver(suspect) ? { ...suspect, blockedUntil: null } : suspect));
  t.update({
    suspects: released.filter(({ deaths, blockedUntil }) => deaths.length > 0 || blockedUntil !== null),
  });
  if (suspects.some(isOver)) blockAll(t);
}

/** What new workers are told; nothing where nothing is blocked. */
export function blockFor(
  { state, now, policy }: Pick<Transaction, 'state' | 'now' | 'policy'>,
  keys: readonly WorkerKey[],
): readonly Effect[] {
  const requests = blocked(state, now);
  const cell = cellOf(state, policy);
  return requests.length === 0 ? [] : keys.map((key): Effect => ({ type: 'block', key, requests, ...cell }));
}

/** When something is let in again. */
export function blockDeadlines({ suspects }: State): readonly Millis[] {
  return suspects.flatMap(({ blockedUntil }) => (blockedUntil === null ? [] : [blockedUntil]));
}

/** Tells every worker what is kept out, and where the cell is. */
export function blockAll(t: Transaction): void {
  const requests = blocked(t.state, t.now);
  const cell = cellOf(t.state, t.policy);
  for (const { key } of t.state.workers.filter(isUp)) t.emit({ type: 'block', key, requests, ...cell });
}

/** The cell that serves; nothing where there is to be none. */
function cellOf({ cell }: State, { poison }: Policy): { readonly cell?: WorkerKey | null } {
  if (poison.cell === 'off') return {};
  return { cell: cell.workers.findLast(({ phase }) => phase === 'ready')?.key ?? null };
}

export function isAnyBlocked({ suspects }: State, now: Millis): boolean {
  return suspects.some(({ blockedUntil }) => blockedUntil !== null && blockedUntil > now);
}

/**
 * The cell died with these in flight: they are kept out for as long again. Where nobody knows what was in flight, it may have
 * been any kind that is kept out.
 */
export function keepBlocked(t: Transaction, requests: readonly RequestNote[]): void {
  const kinds = distinct(requests);
  const guilty = (suspect: Suspect): boolean =>
    suspect.blockedUntil !== null && (kinds.length === 0 || kinds.some((kind) => isSame(kind, suspect)));
  if (!t.state.suspects.some(guilty)) return;
  const until = t.now + t.policy.poison.block;
  t.update({
    suspects: t.state.suspects.map((suspect) =>
      guilty(suspect) ? { ...suspect, blockedUntil: until } : suspect,
    ),
  });
  blockAll(t);
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
  { window, block, cell }: PoisonPolicy,
  isProven: boolean,
): string {
  const what = `${method} ${route} was in flight when ${deaths.length} workers died within ${span(window)}`;
  if (!isProven) return `${what}; too little traffic was seen to tell whether that is chance`;
  if (block === 0) return what;
  return cell === 'on'
    ? `${what}: it is served by the cell for ${span(block)}`
    : `${what}: it is answered with 503 for ${span(block)}`;
}

function span(ms: Millis): string {
  return ms % minute === 0 ? `${ms / minute} min` : `${ms / 1_000} s`;
}

/** Between two samples, of whichever worker: their cost does not grow with the number of workers. */
const interval: Millis = 230;
const mostKinds = 200;
/** From here on all counts are halved. */
const mostSamples = 4_000;
/** With fewer samples nobody can tell what is common. */
const fewSamples = 10;
/** How likely it may be that a kind was in flight at so many deaths by chance. */
const chance = 0.002;

export function sample(mix: Mix, { current, begun = [] }: Heartbeat, now: Millis): Mix {
  if (now - mix.sampledAt < interval || (current.length === 0 && begun.length === 0)) return mix;
  const counts = new Map(mix.kinds.map((kind) => [kindName(kind), kind]));
  const count = (
    request: Pick<RequestNote, 'method' | 'path'>,
    what: 'inFlight' | 'begun',
    seen?: Set<string>,
  ) => {
    const print = fingerprintOf(request);
    const name = kindName(print);
    if (seen?.has(name)) return;
    seen?.add(name);
    const kind = counts.get(name) ?? { ...print, inFlight: 0, begun: 0 };
    counts.set(name, { ...kind, [what]: kind[what] + 1 });
  };
  const seen = new Set<string>();
  for (const request of current) count(request, 'inFlight', seen);
  for (const request of begun) count(request, 'begun');
  return bounded({
    sampledAt: now,
    inFlight: mix.inFlight + (current.length === 0 ? 0 : 1),
    begun: mix.begun + begun.length,
    kinds: [...counts.values()],
  });
}

/**
 * Whether a kind was in flight at markedly more of these deaths than its share of the traffic explains (the tail of a
 * Poisson binomial distribution); null: too little is known of the traffic.
 */
export function standsOut(mix: Mix, kind: Fingerprint, deaths: Deaths): boolean | null {
  if (mix.inFlight + mix.begun < fewSamples) return null;
  const shares = deaths.all.map(({ inFlight }) => expected(mix, kind, inFlight));
  return tail(shares, deaths.hit) <= chance;
}

export interface Deaths {
  readonly all: readonly Fatality[];
  /** At how many of them one of the kind was in flight. */
  readonly hit: number;
}

/** How likely one of the kind is among so many requests in flight. What was never seen is taken for half a sample. */
function expected(mix: Mix, kind: Fingerprint, inFlight: number): number {
  const known = mix.kinds.find((other) => kindName(other) === kindName(kind));
  const among = ((known?.inFlight ?? 0) + 0.5) / (mix.inFlight + 1);
  if (mix.begun === 0) return among;
  const share = ((known?.begun ?? 0) + 0.5) / (mix.begun + 1);
  const some = 1 - (1 - share) ** inFlight;
  return mix.inFlight === 0 ? some : Math.max(among, some);
}

/** The probability of `hit` or more of these, each with a probability of its own. */
function tail(probabilities: readonly number[], hit: number): number {
  let exactly = [1];
  for (const p of probabilities) {
    exactly = [...exactly, 0].map((value, n) => value * (1 - p) + (exactly[n - 1] ?? 0) * p);
  }
  return exactly.slice(hit).reduce((sum, value) => sum + value, 0);
}

function bounded(mix: Mix): Mix {
  const factor = mix.inFlight + mix.begun > mostSamples ? 0.5 : 1;
  if (factor === 1 && mix.kinds.length <= mostKinds) return mix;
  const kinds = mix.kinds
    .map((kind) => ({ ...kind, inFlight: kind.inFlight * factor, begun: kind.begun * factor }))
    .sort((a, b) => b.inFlight + b.begun - a.inFlight - a.begun)
    .slice(0, mostKinds);
  return { ...mix, inFlight: mix.inFlight * factor, begun: mix.begun * factor, kinds };
}

function kindName({ method, route }: Fingerprint): string {
  return `${method} ${route}`;
}
