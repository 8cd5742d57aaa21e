import type { Effect } from '../core/effects.js';
import type { Event } from '../core/events.js';
import { initialState, type Millis, type State } from '../core/model.js';
import type { Policy } from '../core/policy.js';
import { nextDeadline, step } from '../core/step.js';

export interface MailboxSeam {
  /** What holds now: a reload may change it. */
  readonly policy: () => Policy;
  /** Start of the jitter's sequence. */
  readonly seed: number;
  /** The monotonic clock, ms. */
  readonly now: () => Millis;
  /** Calls back once, after so many ms, unless it is called again before. */
  readonly wake: (after: Millis, callback: () => void) => void;
  readonly perform: (effect: Effect) => void;
  readonly onChange?: (before: State, after: State, event: Event) => void;
}

export interface Mailbox {
  post(event: Event): void;
  state(): State;
}

/** Feeds the core one event at a time and has its effects performed. There is one timer. */
export function createMailbox({ policy, seed, now, wake, perform, onChange }: MailboxSeam): Mailbox {
  let state = initialState({ seed });
  const queue: Event[] = [];
  let busy = false;

  const run = (): void => {
    if (busy) return;
    busy = true;
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
      const before = state;
      const [next, effects] = step(before, event, now(), policy());
      state = next;
      onChange?.(before, next, event);
      for (const effect of effects) perform(effect);
    }
    busy = false;
    arm();
  };

  const post = (event: Event): void => {
    queue.push(event);
    run();
  };

  const arm = (): void => {
    const deadline = nextDeadline(state, policy());
    if (deadline !== null) wake(Math.max(0, deadline - now()), () => post({ type: 'tick' }));
  };

  return { post, state: () => state };
}
