import type { Effect } from '../../../src/core/effects.js';
import type { Event } from '../../../src/core/events.js';
import type { Millis, State, Worker, WorkerKey } from '../../../src/core/model.js';
import type { Policy } from '../../../src/core/policy.js';
import { random } from '../../../src/core/random.js';
import type { Beat } from '../../../src/core/stats.js';
import { brokenInvariant } from '../../support/paper-invariants.js';
import { type PolicyPart, paperBeat, paperPolicy } from '../../support/paper-policy.js';

/** The core's own code, or a copy of it that has been broken. */
export interface Core {
  readonly step: (
    state: State,
    event: Event,
    now: Millis,
    policy: Policy,
  ) => readonly [State, readonly Effect[]];
  readonly initialState: (options: { seed: number }) => State;
  readonly nextDeadline: (state: State, policy: Policy) => Millis | null;
}

/** The master, and what is left of the world around it. */
export interface World {
  readonly state: State;
  readonly now: Millis;
  /** Workers that have fallen silent: nothing but their death comes from them. */
  readonly hung: readonly WorkerKey[];
  /** Workers that have more memory than they should. */
  readonly ill: readonly WorkerKey[];
  readonly left: Budget;
  /** The generation of the next reload. */
  readonly next: number;
}

/** How often what is not bounded by itself may still happen. */
export interface Budget {
  /** Deaths that nobody asked for. */
  readonly crashes: number;
  readonly hangs: number;
  /** Silent ones that speak again. */
  readonly recoveries: number;
  readonly illnesses: number;
  /** Times at which the cgroup runs out of memory. */
  readonly shortages: number;
  readonly reloads: number;
  readonly scales: number;
  readonly restarts: number;
}

export const nothing: Budget = {
  crashes: 0,
  hangs: 0,
  recoveries: 0,
  illnesses: 0,
  shortages: 0,
  reloads: 0,
  scales: 0,
  restarts: 0,
};

/** Something that can happen in a world. */
export interface Move {
  readonly words: string;
  readonly events: readonly Event[];
  /** When, where time passes. */
  readonly now?: Millis;
  readonly hangs?: WorkerKey;
  readonly recovers?: WorkerKey;
  readonly sickens?: WorkerKey;
  readonly costs?: keyof Budget;
}

/** Seen when an invariant does not hold. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** One state of the generator of jitter stands for all: with it a backoff is a second. */
const seed = 1;
const [rssAtFirst, rssOfGrown, rssOfIll] = [50 * 2 ** 20, 100 * 2 ** 20, 1_000 * 2 ** 20];
const jitter = 0.5 + random(seed)[0] / 2;

/**
 * Limits of one second each, so that different orders of events meet in the same states; a silent worker is looked at
 * after a second.
 */
export function explorePolicy(workers: number, more: PolicyPart = {}): Policy {
  const delay = 1_000 / jitter;
  return paperPolicy({
    workers,
    bootTimeout: 1_000,
    drainTimeout: 1_000,
    hangTimeout: 1_333,
    memory: { maxRss: rssOfIll - 1, maxHeap: 0, pressure: 0.9 },
    restart: { intensity: 3, crashDelay: delay, crashDelayMax: delay, bootDelay: delay, bootDelayMax: delay },
    reload: { soak: 250, probeTimeout: 0 },
    ...more,
  });
}

export function idle(core: Core, left: Budget): World {
  return { state: core.initialState({ seed }), now: 0, hung: [], ill: [], left, next: 2 };
}

/** A master that has started, and serves with all of its workers. */
export function serving(core: Core, { left, policy }: { left: Budget; policy: Policy }): World {
  const started = post(core, idle(core, left), [{ type: 'start' }, { type: 'tick' }], policy);
  const ready = started.state.workers.map(({ key }): Event => ({ type: 'ready', key, urls: [] }));
  const serves = post(core, started, ready, policy);
  const spares = Array.from(
    { length: policy.spares },
    (_, index) => started.state.workers.length + index + 1,
  );
  const booted = spares.map((key): Event => ({ type: 'spare', key }));
  return post(core, serves, booted, policy);
}

/** @throws Violation where an invariant does not hold on the way */
export function play(core: Core, world: World, move: Move, policy: Policy): World {
  const { left } = world;
  const spent = move.costs === undefined ? left : { ...left, [move.costs]: left[move.costs] - 1 };
  const reloads = move.events.some(({ type }) => type === 'reload') ? 1 : 0;
  const silent = move.hangs === undefined ? world.hung : [...world.hung, move.hangs];
  const hung = silent.filter((key) => key !== move.recovers);
  const ill = move.sickens === undefined ? world.ill : [...world.ill, move.sickens];
  const moved = { ...world, now: move.now ?? world.now, left: spent, next: world.next + reloads, hung, ill };
  return post(core, moved, move.events, policy);
}

/** Everything that can happen next. */
export function moves(core: Core, world: World, policy: Policy): readonly Move[] {
  const { phase } = world.state.life;
  if (phase === 'ended') return [];
  if (phase === 'idle') return [{ words: 'start', events: [{ type: 'start' }] }, ...stops];
  return [
    ...world.state.workers.flatMap((worker) => [
      ...workerMoves(world, worker),
      ...silenceMoves(world, worker),
    ]),
    ...memoryMoves(world),
    ...probeMoves(world),
    ...commandMoves(world),
    ...stops,
    passing(core, world, policy),
  ];
}

/** Time passes to the next deadline; who is well has sent a beat by then. */
export function passing(core: Core, world: World, policy: Policy, isWell = true): Move {
  const { state, now, hung } = world;
  const next = Math.max(now, core.nextDeadline(state, policy) ?? now);
  const beats = state.workers
    .filter((worker) => isWell && sendsBeats(worker) && !hung.includes(worker.key))
    .map((worker): Event => ({ type: 'beat', key: worker.key, beat: beatOf(world, worker, next) }));
  const relief: readonly Event[] = state.pressure.readings > 0 ? [reading(0)] : [];
  return { words: `${next - now} ms pass`, events: [...relief, ...beats, { type: 'tick' }], now: next };
}

export function workerMoves({ hung, left }: World, worker: Worker): readonly Move[] {
  const { key, phase } = worker;
  const exits = exit(worker, phase === 'draining' ? 0 : 1);
  const crash = left.crashes > 0 ? [{ ...exits, costs: 'crashes' as const }] : [];
  const hang: Move = { words: `worker #${key} falls silent`, events: [], hangs: key, costs: 'hangs' };
  if (phase === 'dying') return [exits];
  if (hung.includes(key)) return crash;
  const silence = left.hangs > 0 ? [hang] : [];
  if (phase === 'starting') return [worker.slot === 0 ? booted(worker) : ready(worker), ...crash];
  if (phase === 'ready' || phase === 'spare') return [...crash, ...silence];
  return worker.closed ? [exits, ...silence] : [closed(worker), exits, ...silence];
}

/** What is found out about the silent, and that they speak again; and workers that grow out of their limit. */
function silenceMoves({ hung, ill, left }: World, { key, phase, vitals }: Worker): readonly Move[] {
  if (phase !== 'ready' && phase !== 'spare') return [];
  const sickens: Move = {
    words: `worker #${key} grows too large`,
    events: [],
    sickens: key,
    costs: 'illnesses',
  };
  if (!hung.includes(key)) {
    return left.illnesses > 0 && phase === 'ready' && !ill.includes(key) ? [sickens] : [];
  }
  const beat: Event = { type: 'beat', key, beat: paperBeat() };
  const recovers: Move = {
    words: `worker #${key} speaks again`,
    events: [beat],
    recovers: key,
    costs: 'recoveries',
  };
  const { silence } = vitals;
  return [
    ...(silence !== null && silence.capture === null ? captures(key) : []),
    ...(left.recoveries > 0 ? [recovers] : []),
  ];
}

function captures(key: WorkerKey): readonly Move[] {
  return (['running', 'starved'] as const).map((state) => ({
    words: `worker #${key} is found ${state}`,
    events: [
      { type: 'captured', key, capture: { state, stack: null, at: null, requests: null, detail: null } },
    ],
  }));
}

function memoryMoves({ left }: World): readonly Move[] {
  const high = [reading(1), reading(1), reading(1)];
  return left.shortages > 0 ? [{ words: 'the memory is short', events: high, costs: 'shortages' }] : [];
}

function reading(used: number): Event {
  return { type: 'memory', used, limit: 1, stalled: null };
}

export function booted({ key }: Worker): Move {
  return { words: `spare #${key} has booted`, events: [{ type: 'spare', key }] };
}

export function ready({ key }: Worker): Move {
  return { words: `worker #${key} is ready`, events: [{ type: 'ready', key, urls: [] }] };
}

export function exit({ key }: Worker, code: number): Move {
  return { words: `worker #${key} ends with ${code}`, events: [{ type: 'exited', key, code, signal: null }] };
}

function closed({ key }: Worker): Move {
  return { words: `worker #${key} has closed`, events: [{ type: 'closed', key, inFlight: 0, accepted: 0 }] };
}

/** The canary's answers to its probe, where one is awaited. */
export function probeMoves({ state, hung }: World): readonly Move[] {
  const stage = state.reload?.stage;
  if (stage?.name !== 'soak' || stage.probeBy === null || hung.includes(stage.key)) return [];
  return [null, 'status 500'].map((failure) => ({
    words: failure === null ? 'the canary answers' : 'the canary fails its probe',
    events: [{ type: 'probed', key: stage.key, failure, took: 1 }],
  }));
}

function commandMoves({ state, left, next }: World): readonly Move[] {
  const asked = { request: 7, by: 'alice' };
  const reload = (soak: boolean, rollback: boolean): Move => ({
    words: `reload${soak ? '' : ', no soak'}${rollback ? '' : ', no rollback'}`,
    events: [{ type: 'reload', generation: next, release: '/srv', at: 0, soak, rollback, ...asked }],
    costs: 'reloads',
  });
  const scale = (add: number): Move => ({
    words: `scale by ${add}`,
    events: [{ type: 'scale', change: { add }, ...asked }],
    costs: 'scales',
  });
  const restarts = state.slots.map(
    ({ id }): Move => ({
      words: `restart worker ${id}`,
      events: [{ type: 'restart', slot: id, ...asked }],
      costs: 'restarts',
    }),
  );
  const abort: Move = { words: 'abort', events: [{ type: 'abort', ...asked }] };
  return [
    ...(left.reloads > 0 ? [reload(true, true), reload(false, true), reload(true, false)] : []),
    ...(left.scales > 0 ? [scale(1), scale(-1)] : []),
    ...(left.restarts > 0 ? restarts : []),
    ...(state.reload === null ? [] : [abort]),
  ];
}

const stops: readonly Move[] = [false, true].map((now) => ({
  words: now ? 'stop at once' : 'stop',
  events: [{ type: 'stop', why: 'SIGTERM', now }],
}));

function post(core: Core, world: World, events: readonly Event[], policy: Policy): World {
  const { now } = world;
  let { state } = world;
  for (const event of events) {
    const before = state;
    const [after, effects] = core.step(before, event, now, policy);
    const broken = brokenInvariant({ before, event, after, effects, now, policy });
    if (broken !== undefined) throw new Violation(broken);
    state = after.seed === seed ? after : { ...after, seed };
  }
  const isThere = (key: WorkerKey) => state.workers.some((worker) => worker.key === key);
  return { ...world, state, hung: world.hung.filter(isThere), ill: world.ill.filter(isThere) };
}

function sendsBeats({ phase }: Worker): boolean {
  return phase === 'ready' || phase === 'spare' || phase === 'draining';
}

/** Everybody has answered something since, and grows from the second beat on. */
function beatOf({ ill }: World, { key, vitals }: Worker, now: Millis): Beat {
  const rss = ill.includes(key) ? rssOfIll : vitals.firstRss === null ? rssAtFirst : rssOfGrown;
  return paperBeat({ answers: now, rss });
}
