import { random } from '../../../src/core/backoff.js';
import type { Effect } from '../../../src/core/effects.js';
import type { Event } from '../../../src/core/events.js';
import type { Policy } from '../../../src/core/policy.js';
import type { State } from '../../../src/core/state.js';
import type { Millis } from '../../../src/protocol/limits.js';
import type { WorkerKey } from '../../../src/protocol/messages.js';
import { brokenInvariant } from '../invariants.js';
import { type PolicyPart, simPolicy } from '../sim-policy.js';

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
  /** How busy the event loops are, 0 to 1. */
  readonly load: number;
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
  /** Times that the load comes or goes. */
  readonly loads: number;
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
  loads: 0,
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
  /** From then on. */
  readonly load?: number;
  readonly costs?: keyof Budget;
}

/** Seen when an invariant does not hold. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** One state of the generator of jitter stands for all: with it a backoff is a second. */
const seed = 1;
/** How busy event loops are without and with a load. */
export const littleLoad = 0.1;
export const muchLoad = 1;
/** Of a worker that has grown out of its limit. */
export const rssOfIll = 1_000 * 2 ** 20;
const jitter = 0.5 + random(seed)[0] / 2;

/**
 * Limits of one second each, so that different orders of events meet in the same states; a silent worker is looked at
 * after a second.
 */
export function explorePolicy(workers: number, more: PolicyPart = {}): Policy {
  const delay = 1_000 / jitter;
  return simPolicy({
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
  return { state: core.initialState({ seed }), now: 0, hung: [], ill: [], load: littleLoad, left, next: 2 };
}

/** As explorePolicy has it, with a mirror that lasts for longer than it takes to warm up. */
export const mirroredReload: PolicyPart = {
  reload: { soak: 250, probeTimeout: 0, mirror: 'safe', mirrorRequests: 30, mirrorTime: 3_000 },
};

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
  const [now, load] = [move.now ?? world.now, move.load ?? world.load];
  const moved = { ...world, now, load, left: spent, next: world.next + reloads, hung, ill };
  return post(core, moved, move.events, policy);
}

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
