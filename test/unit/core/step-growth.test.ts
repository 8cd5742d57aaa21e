import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Event } from '../../../src/core/events.js';
import { initialState, type State } from '../../../src/core/state.js';
import { nextDeadline, step } from '../../../src/core/step.js';
import { servingEvents, simHeartbeat, simPolicy } from '../../simulation/sim-policy.js';

const policy = (workers: number) => simPolicy({ workers, evensOut: true, pingInterval: 10_000 });

/** A service with so many workers that have sent their heartbeats, and no request under way. */
function serving(workers: number, soaking: boolean): State {
  let state = initialState({ seed: 1 });
  const post = (event: Event): void => {
    [state] = step(state, event, 0, policy(workers));
  };
  for (const event of servingEvents(workers, { soaking })) post(event);
  for (const { key } of state.workers) post({ type: 'heartbeat', key, heartbeat: simHeartbeat({ kept: 3 }) });
  post({ type: 'tick' });
  return state;
}

/** How often an answer to this event reads a field of a slot or a worker. @param but fields that are not counted */
function reads(state: State, event: Event, { but }: { but: readonly string[] }): number {
  let count = 0;
  const counted = <Thing extends object>(thing: Thing): Thing =>
    new Proxy(thing, {
      get: (target, name, receiver) => {
        if (!but.includes(String(name))) count += 1;
        return Reflect.get(target, name, receiver);
      },
    });
  const workers = state.workers.map(counted);
  const slots = state.slots.map(counted);
  const rules = policy(slots.length);
  // Once so that it knows what it keeps from event to event.
  const [known] = step({ ...state, workers, slots }, event, 1_000, rules);
  count = 0;
  const [next] = step(known, event, 1_001, rules);
  if (event.type === 'tick') nextDeadline(next, rules);
  return count;
}

describe('with more workers', () => {
  for (const soaking of [false, true]) {
    const when = soaking ? 'while a canary is soaked' : 'while nothing is under way';
    test(`a heartbeat looks at its own worker and at no slot ${when}`, () => {
      const heartbeat = (workers: number) =>
        reads(
          serving(workers, soaking),
          { type: 'heartbeat', key: workers, heartbeat: simHeartbeat({ kept: 3 }) },
          { but: ['key'] },
        );
      assert.equal(heartbeat(512), heartbeat(64));
      assert.ok(heartbeat(64) < 64, 'no look at every worker');
    });

    test(`a tick costs no more than their number ${when}`, () => {
      const tick = (workers: number) => reads(serving(workers, soaking), { type: 'tick' }, { but: [] });
      assert.ok(tick(512) <= 8.5 * tick(64), `${tick(64)} reads with 64 workers, ${tick(512)} with 512`);
    });
  }
});
