import type { Millis } from '../protocol/limits.js';
import type { RestartPolicy } from './policy.js';

/**
 * The delay before a slot's next worker, ms. The first restart after a crash is at once, since the usual crash
 * is a single one; a worker that died before it listened always waits, since the next would fare the same.
 *
 * @param failures deaths of this kind in a row, this one included
 * @param random in [0, 1): the delay is between half and the whole of its exponential step, so that the
 *   slots of a service that crashes as one do not come back as one
 */
export function backoff(
  kind: 'crash' | 'boot',
  { failures, random, restart }: { failures: number; random: number; restart: RestartPolicy },
): Millis {
  if (kind === 'crash' && failures <= 1) return 0;
  const [first, longest, exponent] =
    kind === 'crash'
      ? [restart.crashDelay, restart.crashDelayMax, failures - 2]
      : [restart.bootDelay, restart.bootDelayMax, failures - 1];
  return Math.round(Math.min(longest, first * 2 ** exponent) * (0.5 + random / 2));
}

/** The deaths that still count, this one included, and whether they are too many. */
export function intensity(
  deaths: readonly Millis[],
  { now, restart }: { now: Millis; restart: RestartPolicy },
): { readonly deaths: readonly Millis[]; readonly exceeded: boolean } {
  const recent = [...deaths.filter((at) => now - at < restart.window), now];
  return { deaths: recent, exceeded: recent.length > restart.intensity };
}

/** One step of mulberry32: a number in [0, 1) and the next seed. Not for secrets. */
export function random(seed: number): readonly [value: number, seed: number] {
  const next = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(next ^ (next >>> 15), next | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return [((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296, next];
}
