import type { Effect } from '../core/effects.js';
import type { Event } from '../core/events.js';
import type { Policy } from '../core/policy.js';
import { initialState, type State } from '../core/state.js';
import { movesNobody, nextDeadline, step } from '../core/step.js';
import type { Millis } from '../protocol/limits.js';

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
  /** Something threw that must not: the state is not to be trusted any more, and nothing is taken from here on. */
  readonly onFatal: (error: unknown, where: Where) => void;
}

/** What the master was about when it failed. */
export interface Where {
  /** The type of the event. */
  readonly event: Event['type'];
  /** The type of the effect that was being performed; null: the event was being answered. */
  readonly effect: Effect['type'] | null;
  /** An outline of the state before. */
  readonly state: string;
}

export interface Mailbox {
  post(event: Event): void;
  state(): State;
}

/** Feeds the core one event at a time and has its effects performed. There is one timer. */
export function createMailbox(seam: MailboxSeam): Mailbox {
  const { policy, seed, now, wake, perform, onChange, onFatal } = seam;
  let state = initialState({ seed });
  const queue: Event[] = [];
  let busy = false;
  let failed = false;
  /** Whether something has come since the timer was set that may bring its time nearer. */
  let isStale = false;

  const run = (): void => {
    if (busy || failed) return;
    busy = true;
    for (let event = queue.shift(); event !== undefined && !failed; event = queue.shift()) handle(event);
    busy = false;
    if (isStale && !failed) arm();
  };
  const handle = (event: Event): void => {
    const before = state;
    let effect: Effect['type'] | null = null;
    isStale ||= !movesNobody(before, event);
    try {
      const [next, effects] = step(before, event, now(), policy());
      state = next;
      onChange?.(before, next, event);
      for (const each of effects) {
        effect = each.type;
        perform(each);
      }
    } catch (error) {
      failed = true;
      onFatal(error, { event: event.type, effect, state: outline(before) });
    }
  };

  const post = (event: Event): void => {
    queue.push(event);
    run();
  };

  const arm = (): void => {
    isStale = false;
    const deadline = nextDeadline(state, policy());
    if (deadline !== null) wake(Math.max(0, deadline - now()), () => post({ type: 'tick' }));
  };

  return { post, state: () => state };
}

/** What a reader of the log has to know of a state to understand what went wrong in it. */
function outline({ life, generation, reload, slots, workers }: State): string {
  const trial = reload === null ? '' : `, reload to ${reload.target} (${reload.stage.name})`;
  const each = workers.map(
    ({ key, slot, generation, phase }) => `#${key} slot ${slot} gen ${generation} ${phase}`,
  );
  return `${life.phase}, generation ${generation}${trial}, ${slots.length} slots; ${each.join('; ') || 'no workers'}`;
}
