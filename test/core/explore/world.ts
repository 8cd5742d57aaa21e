import type { Effect } from '../../../src/core/effects.js';
import type { Event } from '../../../src/core/events.js';
import type { Millis, State, Worker, WorkerKey } from '../../../src/core/model.js';
import type { Policy } from '../../../src/core/policy.js';
import { random } from '../../../src/core/random.js';
import { brokenInvariant } from '../../support/paper-invariants.js';
import { paperBeat, paperPolicy } from '../../support/paper-policy.js';

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
  readonly left: Budget;
  /** The generation of the next reload. */
  readonly next: number;
}

/** How often what is not bounded by itself may still happen. */
export interface Budget {
  /** Deaths that nobody asked for. */
  readonly crashes: number;
  readonly hangs: number;
  readonly reloads: number;
  readonly scales: number;
  readonly restarts: number;
}

/** Something that can happen in a world. */
export interface Move {
  readonly words: string;
  readonly events: readonly Event[];
  /** When, where time passes. */
  readonly now?: Millis;
  readonly hangs?: WorkerKey;
  readonly costs?: keyof Budget;
}

/** Seen when an invariant does not hold. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** One state of the generator of jitter stands for all: with it a backoff is a second. */
const seed = 1;
const jitter = 0.5 + random(seed)[0] / 2;

/** Limits of one second each, so that different orders of events meet in the same states. */
export function explorePolicy(workers: number): Policy {
  const delay = 1_000 / jitter;
  return paperPolicy({
    workers,
    bootTimeout: 1_000,
    drainTimeout: 1_000,
    hangTimeout: 1_000,
    restart: { intensity: 3, crashDelay: delay, crashDelayMax: delay, bootDelay: delay, bootDelayMax: delay },
    reload: { soak: 250, probeTimeout: 0 },
  });
}

export function idle(core: Core, left: Budget): World {
  return { state: core.initialState({ seed }), now: 0, hung: [], left, next: 2 };
}

/** A master that has started, and serves with all of its workers. */
export function serving(core: Core, { left, policy }: { left: Budget; policy: Policy }): World {
  const started = post(core, idle(core, left), [{ type: 'start' }, { type: 'tick' }], policy);
  const ready = started.state.workers.map(({ key }): Event => ({ type: 'ready', key, urls: [] }));
  return post(core, started, ready, policy);
}

/** @throws Violation where an invariant does not hold on the way */
export function play(core: Core, world: World, move: Move, policy: Policy): World {
  const { left } = world;
  const spent = move.costs === undefined ? left : { ...left, [move.costs]: left[move.costs] - 1 };
  const reloads = move.events.some(({ type }) => type === 'reload') ? 1 : 0;
  const hung = move.hangs === undefined ? world.hung : [...world.hung, move.hangs];
  const moved = { ...world, now: move.now ?? world.now, left: spent, next: world.next + reloads, hung };
  return post(core, moved, move.events, policy);
}

/** Everything that can happen next. */
export function moves(core: Core, world: World, policy: Policy): readonly Move[] {
  const { phase } = world.state.life;
  if (phase === 'ended') return [];
  if (phase === 'idle') return [{ words: 'start', events: [{ type: 'start' }] }, ...stops];
  return [
    ...world.state.workers.flatMap((worker) => workerMoves(world, worker)),
    ...probeMoves(world),
    ...commandMoves(world),
    ...stops,
    passing(core, world, policy),
  ];
}

/** Time passes to the next deadline; who is well has sent a beat by then. */
export function passing(core: Core, { state, now, hung }: World, policy: Policy, isWell = true): Move {
  const next = Math.max(now, core.nextDeadline(state, policy) ?? now);
  const beats = state.workers
    .filter(({ key, phase }) => isWell && (phase === 'ready' || phase === 'draining') && !hung.includes(key))
    .map(({ key }): Event => ({ type: 'beat', key, beat: paperBeat() }));
  return { words: `${next - now} ms pass`, events: [...beats, { type: 'tick' }], now: next };
}

export function workerMoves({ hung, left }: World, worker: Worker): readonly Move[] {
  const { key, phase } = worker;
  const exits = exit(worker, phase === 'draining' ? 0 : 1);
  const crash = left.crashes > 0 ? [{ ...exits, costs: 'crashes' as const }] : [];
  const hang: Move = { words: `worker #${key} falls silent`, events: [], hangs: key, costs: 'hangs' };
  if (phase === 'dying') return [exits];
  if (hung.includes(key)) return crash;
  const silence = left.hangs > 0 ? [hang] : [];
  if (phase === 'starting') return [ready(worker), ...crash];
  if (phase === 'ready' || phase === 'spare') return [...crash, ...silence];
  return worker.closed ? [exits, ...silence] : [closed(worker), exits, ...silence];
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
  const hung = world.hung.filter((key) => state.workers.some((worker) => worker.key === key));
  return { ...world, state, hung };
}
