import assert from 'node:assert/strict';
import type { Event } from '../../src/core/events.js';
import type { Millis, State } from '../../src/core/model.js';
import type { Policy } from '../../src/core/policy.js';
import type { Result } from '../../src/core/result.js';
import { step } from '../../src/core/step.js';

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
}): Result {
  for (const input of [state, event, policy]) deepFreeze(input);
  const result = deepFreeze(step(state, event, now, policy));
  assert.deepEqual(step(state, event, now, policy), result, 'the same inputs must give the same outputs');
  assertSound(result[0]);
  return result;
}

export function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}

/** What holds in every state, whatever happened. */
function assertSound({ life, slots, workers, nextKey }: State): void {
  const keys = workers.map(({ key }) => key);
  assert.equal(new Set(keys).size, keys.length, 'no two workers share a key');
  for (const key of keys) assert.ok(key < nextKey, `key ${key} is still to be given`);
  for (const { id, forkAt } of slots) {
    const here = workers.filter(({ slot }) => slot === id).length;
    assert.ok(here <= 1, `slot ${id} has ${here} workers`);
    assert.ok(here === 0 || forkAt === null, `slot ${id} is taken and yet to be filled`);
    const lost = here === 0 && forkAt === null && (life.phase === 'starting' || life.phase === 'serving');
    assert.ok(!lost, `slot ${id} is empty and stays so`);
    if (life.phase === 'stopping' || life.phase === 'ended')
      assert.equal(forkAt, null, 'a fork after the stop');
  }
}
