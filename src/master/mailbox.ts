import type { Effect } from '../core/effects.js';
import type { Event } from '../core/events.js';
import type { Policy } from '../core/policy.js';
import { initialState, type State } from '../core/state.js';
import { movesNobody, nextDeadline, step } from '../core/step.js';
import { nameOf } from '../core/workers.js';
import type { Millis } from '../protocol/limits.js';
import type { Turn } from '../record/turn.js';

export interface MailboxSeam {
  /** The policy for a state: a reload may change it. */
  readonly policy: (state: State) => Policy;
  /** Start of the jitter's sequence. */
  readonly seed: number;
  /** The monotonic clock, ms. */
  readonly now: () => Millis;
  /** Calls back once, after so many ms, unless it is called again before. */
  readonly wake: (after: Millis, callback: () => void) => void;
}

/** Who hears of what the core answers. */
export interface MailboxOutlets {
  readonly perform: (effect: Effect) => void;
  /** Before the effects are performed. */
  readonly onTurn?: (turn: Omit<Turn, 'clockMs'>) => void;
  readonly onChange?: (before: State, after: State, event: Event) => void;
  /** The core or an effect threw: the state cannot be trusted any more, and later events are ignored. */
  readonly onFatal: (error: unknown, where: Where) => void;
}

/** What the master was doing when it failed. */
export interface Where {
  /** The type of the event. */
  readonly event: Event['type'];
  /** The type of the effect that was being performed; null: the event was being answered. */
  readonly effect: Effect['type'] | null;
  /** An outline of the state before. */
  readonly state: string;
}

export interface Mailbox {
  /** Before the first event. */
  connect(outlets: MailboxOutlets): void;
  post(event: Event): void;
  state(): State;
}

/** Feeds the core one event at a time and has its effects performed. It has the master's one timer. */
export function createMailbox(seam: MailboxSeam): Mailbox {
  const { policy, seed, now, wake } = seam;
  let outlets: MailboxOutlets | null = null;
  let state = initialState({ seed });
  const queue: Event[] = [];
  let busy = false;
  let failed = false;
  /** Whether an event since the timer was set may have brought the next deadline nearer. */
  let isStale = false;

  const run = (): void => {
    if (busy || failed) return;
    if (outlets === null) throw new Error('the mailbox is not connected');
    busy = true;
    for (let event = queue.shift(); event !== undefined && !failed; event = queue.shift())
      handle(event, outlets);
    busy = false;
    if (isStale && !failed) arm();
  };
  const handle = (event: Event, { perform, onTurn, onChange, onFatal }: MailboxOutlets): void => {
    const before = state;
    let effect: Effect['type'] | null = null;
    isStale ||= !movesNobody(before, event);
    try {
      const at = now();
      const inForce = policy(before);
      const [next, effects] = step(before, event, at, inForce);
      state = next;
      onTurn?.({ now: at, event, policy: inForce, before, after: next, effects });
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
    const deadline = nextDeadline(state, policy(state));
    if (deadline !== null) wake(Math.max(0, deadline - now()), () => post({ type: 'tick' }));
  };

  return {
    connect: (all) => {
      outlets = all;
    },
    post,
    state: () => state,
  };
}

/** A state in one line, for the log. */
function outline({ life, generation, reload, slots, workers }: State): string {
  const trial = reload === null ? '' : `, reload to ${reload.target} (${reload.stage.name})`;
  const each = workers.map((worker) => {
    const { key, generation, phase } = worker;
    return `#${key} ${nameOf(worker)} gen ${generation} ${phase}`;
  });
  return `${life.phase}, generation ${generation}${trial}, ${slots.length} slots; ${each.join('; ') || 'no workers'}`;
}
