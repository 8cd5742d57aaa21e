import { healthInvariants } from './invariants-of-health.js';
import { reloadInvariants } from './invariants-of-reloads.js';
import { slotInvariants } from './invariants-of-slots.js';
import type { Transition } from './transition.js';

/** The first invariant that a step breaks, and what contradicts it; undefined where all hold. */
export function brokenInvariant(transition: Transition): string | undefined {
  for (const { words, broken } of [...slotInvariants, ...reloadInvariants, ...healthInvariants]) {
    const detail = broken(transition);
    if (detail !== undefined) return `broken: ${words}: ${detail}`;
  }
  return undefined;
}
