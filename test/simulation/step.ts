import assert from 'node:assert/strict';
import type { Effect } from '../../src/core/effects.js';
import type { Event } from '../../src/core/events.js';
import type { Policy } from '../../src/core/policy.js';
import type { State } from '../../src/core/state.js';
import { step } from '../../src/core/step.js';
import type { Millis } from '../../src/protocol/limits.js';
import { brokenInvariant } from './invariants.js';

/**
 * One step, made twice on frozen inputs: it must change nothing that it was given, answer the same, and lead to a state
 * that makes sense.
 */
export function pureStep({
  state,
  event,
  now,
  policy,
}: {
  state: State;
  event: Event;
  now: Millis;
  policy: Policy;
}): readonly [State, readonly Effect[]] {
  for (const input of [state, event, policy]) deepFreeze(input);
  const result = deepFreeze(step(state, event, now, policy));
  assert.deepEqual(step(state, event, now, policy), result, 'the same inputs must give the same outputs');
  const [after, effects] = result;
  assert.equal(brokenInvariant({ before: state, event, after, effects, now, policy }), undefined);
  return result;
}

export function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}
