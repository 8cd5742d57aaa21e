import assert from 'node:assert/strict';
import type { Answer, Effect } from '../../src/core/effects.js';
import type { Event } from '../../src/core/events.js';
import { bucketOf, emptyLatency } from '../../src/core/latency.js';
import { initialState, type Millis, type State, type WorkerKey } from '../../src/core/model.js';
import type { Policy } from '../../src/core/policy.js';
import type { Beat } from '../../src/core/stats.js';
import { nextDeadline } from '../../src/core/step.js';
import type { Death, Fork, PaperOptions, Play, Question, ReloadOptions, Turn } from './paper-play.js';
import { paperBeat, paperPolicy } from './paper-policy.js';
import { deepFreeze, pureStep } from './paper-step.js';
import { describeEffect, describeEvent } from './paper-text.js';

export type { Death, PaperOptions, Play } from './paper-play.js';

interface Appointment {
  readonly at: Millis;
  /** What happens then, if anything does any more. */
  readonly events: () => readonly Event[];
}

interface PaperWorker {
  readonly key: WorkerKey;
  readonly play: Play;
  state: 'booting' | 'ready' | 'draining' | 'silent' | 'gone';
  readyAt: Millis;
}

/** Runs the core against a clock and workers on paper. No timer, no process: an hour takes milliseconds. */
export class PaperCluster {
  readonly policy: Policy;
  readonly turns: Turn[] = [];
  now: Millis = 0;
  state: State;
  readonly #play: (fork: Fork) => Play;
  readonly #workers = new Map<WorkerKey, PaperWorker>();
  readonly #agenda: Appointment[] = [];
  readonly #forks = new Map<number, number>();
  #requests = 0;
  #generations = 1;

  constructor({ policy, seed = 1, play = () => ({}) }: PaperOptions = {}) {
    this.policy = paperPolicy(policy);
    this.state = deepFreeze(initialState({ seed }));
    this.#play = play;
  }

  /** Feeds one event and performs what follows. */
  post(event: Event): readonly Effect[] {
    const [state, effects] = pureStep({ state: this.state, event, now: this.now, policy: this.policy });
    this.state = state;
    this.turns.push({ at: this.now, event, effects });
    for (const effect of effects) this.#perform(effect);
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
    const quiet = new Set<Event['type']>(['tick', 'beat', 'forked']);
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

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'fork':
        return this.#fork(effect);
      case 'drain':
        return this.#drain(effect.key, effect.timeout);
      case 'kill':
        return this.#kill(effect.key);
      case 'ask-beat':
        return this.#at(this.now + 1, () => this.#beat(effect.key));
      case 'probe':
        return this.#probe(effect.key, effect.timeout);
      case 'answer':
      case 'step':
      case 'record':
      case 'release':
      case 'hand-on':
      case 'notify':
      case 'log':
      case 'serving':
      case 'exit':
    }
  }

  #fork({ key, slot, generation }: Extract<Effect, { type: 'fork' }>): void {
    const nth = (this.#forks.get(slot) ?? 0) + 1;
    this.#forks.set(slot, nth);
    const play = this.#play({ key, slot, generation, nth });
    const { now } = this;
    if (play.forkFails !== undefined) {
      const failure = play.forkFails;
      return this.#at(now, () => [{ type: 'fork-failed', key, failure }]);
    }
    const worker: PaperWorker = {
      key,
      play,
      state: 'booting',
      readyAt: 0,
    };
    this.#workers.set(key, worker);
    this.#at(now, () => [{ type: 'forked', key, pid: 1000 + key }]);
    if (play.bootFailure !== undefined) return this.#dies(worker, now, play.bootFailure);
    if (play.boot !== null) this.#at(now + (play.boot ?? 100), () => this.#listens(worker));
  }

  #listens(worker: PaperWorker): readonly Event[] {
    const { key, play } = worker;
    if (worker.state !== 'booting') return [];
    worker.state = 'ready';
    worker.readyAt = this.now;
    if (play.crash !== undefined) this.#dies(worker, this.now, play.crash);
    if (play.hang !== undefined) this.#at(this.now + play.hang, () => this.#hangs(worker));
    this.#beats(worker);
    return [{ type: 'ready', key, urls: ['http://localhost:3000'] }];
  }

  #dies(worker: PaperWorker, from: Millis, { after, code, signal, failure }: Death): void {
    const { key } = worker;
    this.#at(from + after, () => {
      if (worker.state === 'gone') return [];
      worker.state = 'gone';
      const gone: Event = { type: 'exited', key, code: signal ? null : (code ?? 1), signal: signal ?? null };
      return failure === undefined ? [gone] : [{ type: 'failed', key, failure }, gone];
    });
  }

  #hangs(worker: PaperWorker): readonly Event[] {
    if (worker.state !== 'gone') worker.state = 'silent';
    return [];
  }

  #beats(worker: PaperWorker): void {
    this.#at(this.now + 1000, () => {
      const events = this.#beat(worker.key);
      if (events.length > 0) this.#beats(worker);
      return events;
    });
  }

  #beat(key: WorkerKey): readonly Event[] {
    const worker = this.#workers.get(key);
    if (worker?.state !== 'ready' && worker?.state !== 'draining') return [];
    return [{ type: 'beat', key, beat: this.#beatOf(worker) }];
  }

  #probe(key: WorkerKey, timeout: Millis): void {
    const worker = this.#workers.get(key);
    const { probe } = worker?.play ?? {};
    if (probe === null) return;
    this.#at(this.now + Math.min(5, timeout), () =>
      worker?.state === 'ready' ? [{ type: 'probed', key, failure: probe ?? null, took: 5 }] : [],
    );
  }

  #beatOf({ play, readyAt }: PaperWorker): Beat {
    const inFlight = play.inFlight ?? 0;
    const grown = (perSecond = 0) => Math.floor(((this.now - readyAt) / 1000) * perSecond);
    const [requests, bytesWritten] = [grown(play.requestsPerSecond), grown(play.bytesPerSecond)];
    const latency = emptyLatency();
    latency[bucketOf(play.latency ?? 3)] = requests;
    const errors = Math.floor(requests * (play.errors ?? 0));
    const served = { requests, answers: requests, errors, latency };
    return paperBeat({ ...served, inFlight, connections: inFlight, accepted: inFlight, bytesWritten });
  }

  #drain(key: WorkerKey, timeout: Millis): void {
    const worker = this.#workers.get(key);
    if (worker === undefined || worker.state === 'silent' || worker.state === 'gone') return;
    if (worker.state === 'booting') this.#beats(worker);
    worker.state = 'draining';
    const { drain = 50, inFlight = 0 } = worker.play;
    this.#at(this.now + 1, () => ifDraining(worker, [{ type: 'closed', key, inFlight, accepted: inFlight }]));
    const cut: Event = { type: 'cut', key, requests: inFlight, connections: inFlight };
    const last = drain === null ? cut : ({ type: 'drained', key } as const);
    const end = this.now + (drain ?? timeout);
    this.#at(end, () => ifDraining(worker, [last]));
    this.#at(end + 5, () => {
      const events = ifDraining(worker, [{ type: 'exited', key, code: 0, signal: null }]);
      worker.state = 'gone';
      return events;
    });
  }

  #kill(key: WorkerKey): void {
    const worker = this.#workers.get(key);
    if (worker === undefined || worker.play.immortal === true) return;
    this.#dies(worker, this.now, { after: 2, signal: 'SIGKILL' });
  }
}

function ifDraining({ state }: PaperWorker, events: readonly Event[]): readonly Event[] {
  return state === 'draining' ? events : [];
}
