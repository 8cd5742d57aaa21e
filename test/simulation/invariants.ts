import { cellInvariants } from './invariants-of-cell.js';
import { healthInvariants } from './invariants-of-health.js';
import { mirrorInvariants } from './invariants-of-mirror.js';
import { reloadInvariants } from './invariants-of-reloads.js';
import { scalingInvariants } from './invariants-of-scaling.js';
import { slotInvariants } from './invariants-of-slots.js';
import type { Transition } from './transition.js';

const all = [
  ...slotInvariants,
  ...scalingInvariants,
  ...reloadInvariants,
  ...mirrorInvariants,
  ...healthInvariants,
  ...cellInvariants,
];

/** The first invariant that a step breaks, and what contradicts it; undefined where all hold. */
export function brokenInvariant(transition: Transition): string | undefined {
  for (const { words, broken } of all) {
    const detail = broken(transition);
    if (detail !== undefined) return `broken: ${words}: ${detail}`;
  }
  return undefined;
}
