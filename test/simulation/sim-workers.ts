import type { Effect } from '../../src/core/effects.js';
import type { Event } from '../../src/core/events.js';
import { slotOf } from '../../src/core/workers.js';
import type { Capture } from '../../src/protocol/capture.js';
import { bucketOf, emptyLatency, type Heartbeat } from '../../src/protocol/heartbeat.js';
import type { Millis } from '../../src/protocol/limits.js';
import type { WorkerKey } from '../../src/protocol/messages.js';
import type { Death, Fork, Play } from './play.js';
import { simHeartbeat } from './sim-policy.js';

interface SimWorker {
  readonly key: WorkerKey;
  readonly play: Play;
  state: 'booting' | 'spare' | 'ready' | 'draining' | 'silent' | 'gone';
  /** What it was before it fell silent. */
  was: 'spare' | 'ready';
  /** When it was ready, as a spare or as a worker. */
  readyAt: Millis;
}

export interface SimWorkersSeam {
  readonly play: (fork: Fork) => Play;
  readonly queue: () => number | null;
  readonly heartbeatInterval: Millis;
  readonly now: () => Millis;
  /** Has the events of that time happen then. */
  readonly at: (at: Millis, events: () => readonly Event[]) => void;
}

/** Between `promote` and `ready`: the app has booted already. */
const listening: Millis = 2;
const found: Capture = { state: 'running', stack: null, at: null, requests: null, detail: null };

/** Simulated workers, which do what they are told to. */
export class SimWorkers {
  readonly #seam: SimWorkersSeam;
  readonly #workers = new Map<WorkerKey, SimWorker>();
  readonly #forks = new Map<number | 'cell' | null, number>();
  readonly #orders = new Map<WorkerKey, object>();
  readonly #asked = new Map<WorkerKey, number>();

  constructor(seam: SimWorkersSeam) {
    this.#seam = seam;
  }

  /** What an effect leads to. */
  perform(effect: Effect): void {
    switch (effect.type) {
      case 'fork':
        return this.#fork({ ...effect, slot: slotOf(effect), isCell: false });
      case 'fork-cell':
        return this.#fork({ ...effect, slot: null, isCell: true });
      case 'promote':
        return this.#at(this.#now + listening, () => this.#listens(effect.key));
      case 'drain':
        return this.#drain(effect.key, effect.timeout);
      case 'kill':
        return this.#kill(effect.key);
      case 'ask-heartbeat':
        return this.#at(this.#now + 1, () => this.#heartbeat(effect.key));
      case 'probe':
        return this.#probe(effect.key, effect.timeout);
      case 'mirror-open':
        return this.#opens(effect.key);
      case 'mirror':
        return this.#samples(effect);
      case 'prove':
        return this.#prove(effect.key, effect.timeout);
      case 'capture':
        return this.#capture(effect.key, effect.timeout);
      case 'read-queue':
        return this.#at(this.#now + 2, () => [{ type: 'queue', waiting: this.#seam.queue() }]);
      case 'answer':
      case 'block':
      case 'step':
      case 'record':
      case 'release':
      case 'lame-duck':
      case 'even-out':
      case 'notify':
      case 'log':
      case 'serving':
      case 'exit':
    }
  }

  get #now(): Millis {
    return this.#seam.now();
  }

  #at(at: Millis, events: () => readonly Event[]): void {
    this.#seam.at(at, events);
  }

  #fork({ key, generation, slot, isCell }: Omit<Fork, 'nth'>): void {
    const place = isCell ? 'cell' : slot;
    const nth = (this.#forks.get(place) ?? 0) + 1;
    this.#forks.set(place, nth);
    const play = this.#seam.play({ key, slot, isCell, generation, nth });
    const now = this.#now;
    if (play.forkFails !== undefined) {
      const failure = play.forkFails;
      return this.#at(now, () => [{ type: 'fork-failed', key, failure }]);
    }
    const worker: SimWorker = { key, play, state: 'booting', was: 'ready', readyAt: 0 };
    this.#workers.set(key, worker);
    this.#at(now, () => [{ type: 'forked', key, pid: 1000 + key }]);
    if (play.bootFailure !== undefined) return this.#dies(worker, now, play.bootFailure);
    if (play.boot === null) return;
    this.#at(now + (play.boot ?? 100), () => (place === null ? this.#waits(worker) : this.#listens(key)));
  }

  #waits(worker: SimWorker): readonly Event[] {
    if (worker.state !== 'booting') return [];
    worker.state = 'spare';
    this.#lives(worker);
    return [{ type: 'spare', key: worker.key }];
  }

  #listens(key: WorkerKey): readonly Event[] {
    const worker = this.#workers.get(key);
    if (worker?.state !== 'booting' && worker?.state !== 'spare') return [];
    const wasBooting = worker.state === 'booting';
    worker.state = 'ready';
    if (wasBooting) this.#lives(worker);
    else worker.readyAt = this.#now;
    return [{ type: 'ready', key, urls: ['http://localhost:3000'] }];
  }

  #lives(worker: SimWorker): void {
    const { crash, deaf, hang } = worker.play;
    worker.readyAt = this.#now;
    if (deaf !== undefined) this.#at(this.#now + deaf, () => this.#isDeaf(worker));
    if (crash !== undefined) this.#dies(worker, this.#now, crash);
    if (hang !== undefined) this.#at(this.#now + hang, () => this.#hangs(worker));
    this.#heartbeats(worker);
  }

  #dies(worker: SimWorker, from: Millis, { after, code, signal, failure, oomKills, lastWord }: Death): void {
    const { key } = worker;
    this.#at(from + after, () => {
      if (worker.state === 'gone') return [];
      worker.state = 'gone';
      const how = { code: signal ? null : (code ?? 1), signal: signal ?? null };
      const gone: Event = { type: 'exited', key, ...how, ...(oomKills === undefined ? {} : { oomKills }) };
      const failed: Event[] = failure === undefined ? [] : [{ type: 'failed', key, failure }];
      const said: Event[] =
        lastWord === undefined
          ? []
          : [{ type: 'current', key, inFlight: lastWord.length, requests: lastWord }];
      return [...failed, ...said, gone];
    });
  }

  #isDeaf({ key, state }: SimWorker): readonly Event[] {
    const failure = { message: 'the app has closed its server', exitCode: 70 };
    return state === 'ready' ? [{ type: 'failed', key, failure, drains: true }] : [];
  }

  #hangs(worker: SimWorker): readonly Event[] {
    if (worker.state !== 'spare' && worker.state !== 'ready') {
      if (worker.state !== 'gone') worker.state = 'silent';
      return [];
    }
    worker.was = worker.state;
    worker.state = 'silent';
    const { recovers } = worker.play;
    if (recovers !== undefined) this.#at(this.#now + recovers, () => this.#recovers(worker));
    return [];
  }

  #recovers(worker: SimWorker): readonly Event[] {
    if (worker.state !== 'silent') return [];
    worker.state = worker.was;
    this.#heartbeats(worker);
    return this.#heartbeat(worker.key);
  }

  #heartbeats(worker: SimWorker): void {
    this.#at(this.#now + this.#seam.heartbeatInterval, () => {
      const events = this.#heartbeat(worker.key);
      if (events.length > 0) this.#heartbeats(worker);
      return events;
    });
  }

  #heartbeat(key: WorkerKey): readonly Event[] {
    const worker = this.#workers.get(key);
    if (worker === undefined || !isAwake(worker)) return [];
    return [{ type: 'heartbeat', key, heartbeat: this.#heartbeatOf(worker) }];
  }

  #heartbeatOf({ play, readyAt, state }: SimWorker): Heartbeat {
    const inFlight = play.requests?.length ?? play.inFlight ?? 0;
    const served = this.#now - readyAt;
    const grown = (perSecond = 0) => (state === 'spare' ? 0 : Math.floor((served / 1000) * perSecond));
    const [requests, bytesWritten] = [grown(play.requestsPerSecond), grown(play.bytesPerSecond)];
    const latency = emptyLatency();
    latency[bucketOf(play.latency ?? 3)] = requests;
    const errors = Math.floor(requests * (play.errors ?? 0));
    return simHeartbeat({
      ...{ requests, answers: requests, errors, latency },
      ...{ inFlight, connections: inFlight, accepted: inFlight, bytesWritten, current: play.requests ?? [] },
      ...play.heartbeat?.(served),
    });
  }

  #probe(key: WorkerKey, timeout: Millis): void {
    const worker = this.#workers.get(key);
    const { probe } = worker?.play ?? {};
    if (probe === null) return;
    this.#at(this.#now + Math.min(5, timeout), () =>
      worker?.state === 'ready' ? [{ type: 'probed', key, failure: probe ?? null, tookMs: 5 }] : [],
    );
  }

  #opens(key: WorkerKey): void {
    const failure = this.#workers.get(key)?.play.unmirrored ?? null;
    this.#at(this.#now + 10, () =>
      this.#workers.get(key)?.state === 'spare' ? [{ type: 'mirror-opened', key, failure }] : [],
    );
  }

  /** What the worker answers until its order ends, or is renewed, the canary is asked as well. */
  #samples({ key, to, perSecond, for: lease }: Extract<Effect, { type: 'mirror' }>): void {
    const order = {};
    this.#orders.set(key, order);
    const worker = this.#workers.get(key);
    const interval = 1_000 / Math.min(perSecond, worker?.play.requestsPerSecond ?? 0);
    if (!Number.isFinite(interval) || interval <= 0) return;
    const until = this.#now + lease;
    const next = (at: Millis): void =>
      this.#at(at, () => {
        if (this.#orders.get(key) !== order || at >= until || worker?.state !== 'ready') return [];
        next(at + interval);
        return this.#mirrored(to);
      });
    next(this.#now + interval);
  }

  #mirrored(key: WorkerKey): readonly Event[] {
    const canary = this.#workers.get(key);
    if (canary?.state !== 'spare') return [];
    const nth = (this.#asked.get(key) ?? 0) + 1;
    this.#asked.set(key, nth);
    const told = canary.play.mirrored?.(nth);
    if (told === null) return [];
    const old = { status: 200, type: 'text/html', length: 100, tookMs: 3 };
    const pair = {
      method: 'GET',
      path: '/a',
      old,
      canary: told ?? { outcome: 'answered', ...old, waitedMs: 0 },
    };
    return [{ type: 'mirrored', key, pair }];
  }

  #prove(key: WorkerKey, timeout: Millis): void {
    const worker = this.#workers.get(key);
    if (worker?.play.proves === false) return;
    this.#at(this.#now + Math.min(5, timeout), () =>
      worker?.state === 'ready' ? [{ type: 'proved', key }] : [],
    );
  }

  /** What is found out comes in any case, also about who is gone by then. */
  #capture(key: WorkerKey, timeout: Millis): void {
    const { capture = {}, captureTakes = 75 } = this.#workers.get(key)?.play ?? {};
    this.#at(this.#now + Math.min(captureTakes, timeout), () => [
      { type: 'captured', key, capture: { ...found, ...capture } },
    ]);
  }

  #drain(key: WorkerKey, timeout: Millis): void {
    const worker = this.#workers.get(key);
    if (worker === undefined || worker.state === 'silent' || worker.state === 'gone') return;
    if (worker.state === 'booting') this.#heartbeats(worker);
    worker.state = 'draining';
    const { drain = 50, inFlight = 0 } = worker.play;
    this.#at(this.#now + 1, () =>
      ifDraining(worker, [{ type: 'closed', key, inFlight, accepted: inFlight }]),
    );
    const cut: Event = { type: 'cut', key, requests: inFlight, connections: inFlight };
    const last = drain === null ? cut : ({ type: 'drained', key } as const);
    const end = this.#now + (drain ?? timeout);
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
    this.#dies(worker, this.#now, { after: 2, signal: 'SIGKILL' });
  }
}

function isAwake({ state }: SimWorker): boolean {
  return state === 'spare' || state === 'ready' || state === 'draining';
}

function ifDraining({ state }: SimWorker, events: readonly Event[]): readonly Event[] {
  return state === 'draining' ? events : [];
}
