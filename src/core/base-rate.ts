import type { Beat } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import { type Fingerprint, fingerprintOf, type RequestNote } from '../protocol/requests.js';

/**
 * How common each kind of request is: what is often in flight is often in flight at a death, and is no more to blame for
 * it. Samples of the workers' beats, the older ones counting less.
 */
export interface Mix {
  readonly sampledAt: Millis;
  /** Samples of a worker with something in flight. */
  readonly inFlight: number;
  /** Requests that were sampled as they began: what is answered at once is seldom in flight at a beat. */
  readonly begun: number;
  readonly kinds: readonly Kind[];
}

interface Kind extends Fingerprint {
  /** Samples in which one was in flight, and how many of the sampled requests were of it. */
  readonly inFlight: number;
  readonly begun: number;
}

/** A death with the number of its requests in flight. */
export interface Fatality {
  readonly at: Millis;
  readonly inFlight: number;
}

export const noMix: Mix = { sampledAt: 0, inFlight: 0, begun: 0, kinds: [] };

/** Between two samples, of whichever worker: their cost does not grow with the number of workers. */
const interval: Millis = 230;
const mostKinds = 200;
/** From here on all counts are halved. */
const mostSamples = 4_000;
/** With fewer samples nobody can tell what is common. */
const fewSamples = 10;
/** How likely it may be that a kind was in flight at so many deaths by chance. */
const chance = 0.002;

export function sample(mix: Mix, { current, begun = [] }: Beat, now: Millis): Mix {
  if (now - mix.sampledAt < interval || (current.length === 0 && begun.length === 0)) return mix;
  const counts = new Map(mix.kinds.map((kind) => [nameOf(kind), kind]));
  const count = (
    request: Pick<RequestNote, 'method' | 'path'>,
    what: 'inFlight' | 'begun',
    seen?: Set<string>,
  ) => {
    const print = fingerprintOf(request);
    const name = nameOf(print);
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
  const known = mix.kinds.find((other) => nameOf(other) === nameOf(kind));
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

function nameOf({ method, route }: Fingerprint): string {
  return `${method} ${route}`;
}
