import assert from 'node:assert/strict';
import type { Effect } from '../../src/core/effects.js';
import type { Event } from '../../src/core/events.js';
import type { Policy } from '../../src/core/policy.js';
import { initialState, type State } from '../../src/core/state.js';
import { nextDeadline } from '../../src/core/step.js';
import type { Answer } from '../../src/protocol/control-api.js';
import type { Millis } from '../../src/protocol/limits.js';
import type { Question, ReloadOptions, SimOptions, Turn } from './play.js';
import { simPolicy } from './sim-policy.js';
import { SimWorkers } from './sim-workers.js';
import { deepFreeze, pureStep } from './step.js';
import { describeEffect, describeEvent } from './text.js';

export type { Death, Fork, Play, SimOptions } from './play.js';

interface Appointment {
  readonly at: Millis;
  /** What happens then, if anything does any more. */
  readonly events: () => readonly Event[];
}

/** Runs the core against a simulated clock and simulated workers. No timer, no process: an hour takes milliseconds. */
export class SimCluster {
  readonly policy: Policy;
  readonly turns: Turn[] = [];
  now: Millis = 0;
  state: State;
  readonly #workers: SimWorkers;
  readonly #agenda: Appointment[] = [];
  #requests = 0;
  #generations = 1;

  constructor({ policy, seed = 1, play = () => ({}), queue = () => 0 }: SimOptions = {}) {
    this.policy = simPolicy(policy);
    this.state = deepFreeze(initialState({ seed }));
    this.#workers = new SimWorkers({
      play,
      queue,
      heartbeatInterval: this.policy.heartbeatInterval,
      now: () => this.now,
      at: (at, events) => this.#at(at, events),
    });
  }

  /** Feeds one event and performs what follows. */
  post(event: Event): readonly Effect[] {
    const [state, effects] = pureStep({ state: this.state, event, now: this.now, policy: this.policy });
    this.state = state;
    this.turns.push({ at: this.now, event, effects });
    for (const effect of effects) this.#workers.perform(effect);
    return effects;
  }

  start(): this {
    this.post({ type: 'start' });
    return this;
  }

  stop(why = 'SIGTERM', now = false): this {
    this.post({ type: 'stop', why, now });
    return this;
  }

  /** @returns the request's answer, which is given at once */
  reload({ by = 'alice', soak = true, rollback = true, generation }: ReloadOptions = {}): Answer {
    const target = generation ?? this.#generations + 1;
    this.#generations = Math.max(this.#generations, target);
    const release = `/srv/app/${target}`;
    return this.ask({
      type: 'reload',
      by,
      at: 1_700_000_000_000,
      serial: target,
      generation: target,
      release,
      soak,
      rollback,
    });
  }

  ask(asked: Question): Answer {
    this.#requests += 1;
    const request = this.#requests;
    const answers = this.post({ ...asked, request }).flatMap((effect) =>
      effect.type === 'answer' && effect.request === request ? [effect.answer] : [],
    );
    assert.equal(answers.length, 1, `${answers.length} answers to ${asked.type}`);
    return answers[0] as Answer;
  }

  /** Lets so much time pass. */
  run(duration: Millis): this {
    return this.runTo(this.now + duration);
  }

  runTo(end: Millis): this {
    for (let turns = 0; ; turns++) {
      assert.ok(turns < 1e6, `time stands still at ${this.now} ms`);
      const [first] = this.#agenda;
      const at = Math.min(first?.at ?? Number.POSITIVE_INFINITY, this.#deadline());
      if (at > end) break;
      this.now = Math.max(this.now, at);
      const events = first !== undefined && first.at <= this.now ? this.#keep() : [{ type: 'tick' } as const];
      for (const event of events) this.post(event);
    }
    this.now = Math.max(this.now, end);
    return this;
  }

  /** Runs until the master has ended, at most so long. */
  runToEnd(limit: Millis = 3_600_000): this {
    const end = this.now + limit;
    while (this.state.life.phase !== 'ended' && this.now < end) this.run(100);
    assert.equal(this.state.life.phase, 'ended', `not ended after ${limit} ms:\n${this.transcript()}`);
    return this;
  }

  /** The master alone stands still: what happens meanwhile is read afterwards, before its own timer fires. */
  freeze(duration: Millis): this {
    this.now += duration;
    return this;
  }

  /** Every effect of one type so far. */
  effects<T extends Effect['type']>(type: T): readonly (Extract<Effect, { type: T }> & { at: Millis })[] {
    return this.turns.flatMap(({ at, effects }) =>
      effects.flatMap((effect) =>
        effect.type === type ? [{ ...(effect as Extract<Effect, { type: T }>), at }] : [],
      ),
    );
  }

  /** Messages of the log from a level on. */
  logged(...levels: readonly string[]): readonly string[] {
    return this.effects('log').flatMap(({ level, message }) => (levels.includes(level) ? [message] : []));
  }

  /** The exit status that the master ended with; null while it lives. */
  get exitCode(): number | null {
    return this.effects('exit')[0]?.code ?? null;
  }

  /** What happened and what was done about it; turns without effects are left out where nobody would miss them. */
  transcript(): string {
    const quiet = new Set<Event['type']>(['tick', 'heartbeat', 'forked']);
    return this.turns
      .filter(({ event, effects }) => effects.length > 0 || !quiet.has(event.type))
      .map(({ at, event, effects }) =>
        [`${String(at).padStart(7)}  ${describeEvent(event)}`, ...effects.map(describeEffect)].join(
          '\n           ',
        ),
      )
      .join('\n');
  }

  #deadline(): Millis {
    return nextDeadline(this.state, this.policy) ?? Number.POSITIVE_INFINITY;
  }

  /** Keeps the first appointment. */
  #keep(): readonly Event[] {
    return this.#agenda.shift()?.events() ?? [];
  }

  #at(at: Millis, events: Appointment['events']): void {
    const index = this.#agenda.findIndex((other) => other.at > at);
    this.#agenda.splice(index === -1 ? this.#agenda.length : index, 0, { at, events });
  }
}
