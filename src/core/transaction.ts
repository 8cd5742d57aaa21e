import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { Effect, LogEffect } from './effects.js';
import type { Asked } from './events.js';
import type { Policy } from './policy.js';
import type { State, Worker } from './state.js';

/**
 * One step while it is being made: the state as it is so far, and the effects in their order. The states themselves never
 * change, so `step` stays a function of its inputs.
 */
export class Transaction {
  readonly now: Millis;
  readonly policy: Policy;
  readonly effects: Effect[] = [];
  #state: State;
  #changes = 0;

  constructor(state: State, now: Millis, policy: Policy) {
    this.#state = state;
    this.now = now;
    this.policy = policy;
  }

  get state(): State {
    return this.#state;
  }

  /** How many changes have been made so far: whoever compares two readings knows whether anything happened in between. */
  get changes(): number {
    return this.#changes;
  }

  update(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
    this.#changes += 1;
  }

  emit(...effects: readonly Effect[]): void {
    this.effects.push(...effects);
  }

  log(level: LogEffect['level'], message: string, fields?: LogEffect['fields']): void {
    this.emit(
      fields === undefined ? { type: 'log', level, message } : { type: 'log', level, message, fields },
    );
  }

  /** Answers whoever asked for something. */
  accept({ request }: Asked, message: string): void {
    this.emit({ type: 'answer', request, answer: { accepted: true, message } });
  }

  /** ... and tells the log: nobody reads the answer to a signal. */
  refuse({ request, by }: Asked, reason: string): void {
    this.emit({ type: 'answer', request, answer: { accepted: false, reason } });
    this.log('warn', `refused: ${reason}`, { by });
  }

  worker(key: WorkerKey): Worker | undefined {
    return this.#state.workers.find((worker) => worker.key === key);
  }

  /** Puts a worker in the place of what it was before. One that is gone stays gone. */
  put(changed: Worker): void {
    const { workers } = this.#state;
    const place = workers.findIndex(({ key }) => key === changed.key);
    if (place !== -1) this.update({ workers: workers.with(place, changed) });
  }

  /** ... at the end of the list: the workers of a slot are in the order in which they came to it, or began to drain. */
  putLast(changed: Worker): void {
    const others = this.#state.workers.filter(({ key }) => key !== changed.key);
    this.update({ workers: [...others, changed] });
  }

  remove(key: WorkerKey): void {
    this.update({ workers: this.#state.workers.filter((worker) => worker.key !== key) });
  }

  /** Visits every worker as it is by then: what was done about one may have changed or removed others. */
  eachWorker(visit: (worker: Worker) => void): void {
    for (const [place, { key }] of this.#state.workers.entries()) {
      // Mostly it is where it was. A search for each would cost the square of their number.
      const here = this.#state.workers[place];
      const worker = here?.key === key ? here : this.worker(key);
      if (worker !== undefined) visit(worker);
    }
  }
}
