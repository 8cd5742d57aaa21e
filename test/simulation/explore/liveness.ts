import type { Policy } from '../../../src/core/policy.js';
import type { Worker } from '../../../src/core/state.js';
import { slotOf } from '../../../src/core/workers.js';
import { killGrace, reapGrace, tickInterval } from '../../../src/protocol/limits.js';
import { canonical } from './canonical.js';
import { booted, exit, mirrorMoves, passing, probeMoves, ready, workerMoves } from './moves.js';
import { type Core, type Move, play, Violation, type World } from './world.js';

/** What must come about in the end if nothing more goes wrong than said. */
export interface Liveness {
  readonly words: string;
  /** Where it is asked at all. */
  readonly concerns: (world: World) => boolean;
  /** @param start where the way began */
  readonly next: (core: Core, world: World, policy: Policy, start: World) => Move;
  readonly reached: (world: World, start: World) => boolean;
  /** Under which it is asked, where that is another one. */
  readonly policy?: (policy: Policy) => Policy;
  /** What distinguishes worlds on such a way besides what they are; nothing where that is all. */
  readonly name?: (world: World, start: World) => string;
  /** Longest time, ms. */
  readonly within: (policy: Policy) => number;
}

export const livenesses: readonly Liveness[] = [
  {
    words:
      'when all workers do well, every reload ends, every slot is served by one worker and every spare is there, or the stop ends',
    concerns: () => true,
    next: (core, world, policy) => wellBehaved(world, () => false) ?? passing(core, world, policy),
    reached: ({ state }) => state.life.phase === 'ended' || isSettled(state),
    within: () => 60_000,
  },
  {
    words: 'when no worker of a generation on trial listens, the reload ends in a rollback',
    concerns: ({ state }) => state.reload?.rollback === true,
    next: (core, world, policy) =>
      wellBehaved(world, ({ generation }) => generation === world.state.reload?.target) ??
      passing(core, world, policy),
    reached: ({ state }) => state.life.phase === 'ended' || isSettled(state),
    within: () => 60_000,
  },
  {
    words:
      'a reload of a good release leads to every slot serving it, though nothing of before starts any more',
    concerns: ({ state }) => state.life.phase === 'serving',
    next: (core, world, policy, start) =>
      wayOut(core, world, policy, start.next) ??
      wellBehaved(world, ({ generation }) => generation < start.next) ??
      passing(core, world, policy),
    reached: ({ state }, start) => isSettled(state) && state.generation >= start.next,
    policy: withoutIntensity,
    name: ({ state, next }, start) =>
      [state.generation, state.reload?.target ?? 0, next].map((each) => each >= start.next).join(),
    within: () => 120_000,
  },
  {
    words: 'a rollback ends, though the generation before does not start any more',
    concerns: ({ state }) => state.reload?.stage.name === 'rollback',
    next: (core, world, policy) => wellBehaved(world, () => true) ?? passing(core, world, policy),
    reached: ({ state }) => state.reload === null,
    policy: withoutIntensity,
    within: () => 60_000,
  },
  {
    words: 'who has fallen silent is not there any more after three times its limit',
    concerns: (world) => silent(world).length > 0,
    next: (core, world, policy) => passing(core, world, policy),
    reached: (world) => silent(world).length === 0,
    within: ({ hangTimeout }) => 3 * hangTimeout + tickInterval,
  },
  {
    words: 'a stop ends by time alone, though no worker says or does anything any more',
    concerns: ({ state }) => state.life.phase === 'stopping',
    next: (core, world, policy) => passing(core, world, policy, false),
    reached: ({ state }) => state.life.phase === 'ended',
    within: ({ drainTimeout }) => drainTimeout + killGrace + reapGrace + tickInterval,
  },
];

/** Deaths that end the master are another way out. */
function withoutIntensity(policy: Policy): Policy {
  return { ...policy, restart: { ...policy.restart, intensity: 1_000 } };
}

/** Remembers the worlds from which it comes about, so that each is gone through once. */
export class Proof {
  readonly #liveness: Liveness;
  readonly #proven = new Set<string>();

  constructor(liveness: Liveness) {
    this.#liveness = liveness;
  }

  /** @throws Violation where it does not come about */
  check(core: Core, world: World, policy: Policy): void {
    const { words, concerns, next, reached, within, name: more = () => '' } = this.#liveness;
    if (!concerns(world)) return;
    const own = this.#liveness.policy?.(policy) ?? policy;
    const way: string[] = [];
    const names: string[] = [];
    for (let here = world; !reached(here, world); ) {
      const name = `${canonical(here)} ${more(here, world)}`;
      if (this.#proven.has(name)) break;
      way.push(name);
      if (here.now - world.now > within(own) || way.length > 400) {
        throw new Violation(`never: ${words}; then: ${names.slice(0, 20).join(', ')}, …`);
      }
      const move = next(core, here, own, world);
      names.push(move.words);
      here = onTheWay(names, () => play(core, here, move, own));
    }
    for (const name of way) this.#proven.add(name);
  }
}

function onTheWay(names: readonly string[], attempt: () => World): World {
  try {
    return attempt();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Violation(`${reason}; then: ${names.join(', ')}`, { cause: error });
  }
}

/** Those of whom heartbeats are expected in vain. */
function silent({ state, hung }: World): readonly Worker[] {
  return state.workers.filter(
    ({ key, phase }) => hung.includes(key) && (phase === 'ready' || phase === 'spare'),
  );
}

function isSettled(state: World['state']): boolean {
  const { life, reload, pendingScale, slots, workers, generation, spares } = state;
  if (life.phase !== 'serving' || reload !== null || pendingScale !== null) return false;
  const waiting = workers.filter((worker) => worker.phase === 'spare' && worker.generation === generation);
  if (waiting.length !== spares.wanted || workers.length !== slots.length + waiting.length) return false;
  if (slots.some(({ forkAt }) => forkAt !== null)) return false;
  return slots.every(({ id }) =>
    workers.some(
      (worker) => slotOf(worker) === id && worker.phase === 'ready' && worker.generation === generation,
    ),
  );
}

/** A reload of a good release as soon as it is accepted; undefined once it was, or as long as it is not. */
function wayOut(core: Core, world: World, policy: Policy, good: number): Move | undefined {
  const { state, now } = world;
  if (state.generation >= good || (state.reload?.target ?? 0) >= good) return undefined;
  const asked = { request: 9, by: 'bob', at: 0, serial: 1, release: '/srv', soak: true, rollback: true };
  const event = { type: 'reload', generation: world.next, ...asked } as const;
  const [, effects] = core.step(state, event, now, policy);
  const isAccepted = effects.some((effect) => effect.type === 'answer' && effect.answer.accepted);
  return isAccepted ? { words: 'reload of a good release', events: [event] } : undefined;
}

/** What is to be expected of workers next; undefined where nothing is but time. */
function wellBehaved(world: World, isBad: (worker: Worker) => boolean): Move | undefined {
  const { state, hung } = world;
  const [probe] = probeMoves(world);
  if (probe !== undefined) return probe;
  const [opened] = mirrorMoves(world);
  if (opened?.events[0]?.type === 'mirror-opened') return opened;
  for (const worker of state.workers) {
    if (worker.phase === 'starting' && !hung.includes(worker.key))
      return isBad(worker) ? exit(worker, 1) : worker.role.kind === 'spare' ? booted(worker) : ready(worker);
    if (worker.phase === 'draining' && !hung.includes(worker.key)) return workerMoves(world, worker)[0];
    if (worker.phase === 'dying') return exit(worker, 1);
  }
  return undefined;
}
