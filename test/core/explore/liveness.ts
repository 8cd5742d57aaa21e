import type { Worker } from '../../../src/core/model.js';
import { killGrace, type Policy, reapGrace, tickInterval } from '../../../src/core/policy.js';
import { canonical } from './canonical.js';
import { booted, exit, passing, probeMoves, ready, workerMoves } from './moves.js';
import { type Core, type Move, play, Violation, type World } from './world.js';

/** What must come about in the end if nothing more goes wrong than said. */
export interface Liveness {
  readonly words: string;
  /** Where it is asked at all. */
  readonly concerns: (world: World) => boolean;
  readonly next: (core: Core, world: World, policy: Policy) => Move;
  readonly reached: (world: World) => boolean;
  /** Longest time, ms. */
  readonly within: (policy: Policy) => number;
}

export const livenesses: readonly Liveness[] = [
  {
    words:
      'when all workers do well, every reload ends, every slot is served by one worker and every spare is there, or the stop ends',
    concerns: () => true,
    next: (core, world, policy) => wellBehaved(world, 'well') ?? passing(core, world, policy),
    reached: ({ state }) => state.life.phase === 'ended' || isSettled(state),
    within: () => 60_000,
  },
  {
    words: 'when no worker of a generation on trial listens, the reload ends in a rollback',
    concerns: ({ state }) => state.reload?.rollback === true,
    next: (core, world, policy) => wellBehaved(world, 'trial fails') ?? passing(core, world, policy),
    reached: ({ state }) => state.life.phase === 'ended' || isSettled(state),
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

/** Remembers the worlds from which it comes about, so that each is gone through once. */
export class Proof {
  readonly #liveness: Liveness;
  readonly #proven = new Set<string>();

  constructor(liveness: Liveness) {
    this.#liveness = liveness;
  }

  /** @throws Violation where it does not come about */
  check(core: Core, world: World, policy: Policy): void {
    const { words, concerns, next, reached, within } = this.#liveness;
    if (!concerns(world)) return;
    const way: string[] = [];
    const names: string[] = [];
    for (let here = world; !reached(here); ) {
      const name = canonical(here);
      if (this.#proven.has(name)) break;
      way.push(name);
      if (here.now - world.now > within(policy) || way.length > 200) {
        throw new Violation(`never: ${words}; then: ${names.slice(0, 20).join(', ')}, …`);
      }
      const move = next(core, here, policy);
      names.push(move.words);
      here = onTheWay(names, () => play(core, here, move, policy));
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

/** Those of whom beats are expected in vain. */
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
      (worker) => worker.slot === id && worker.phase === 'ready' && worker.generation === generation,
    ),
  );
}

/** What is to be expected of workers next; undefined where nothing is but time. */
function wellBehaved(world: World, how: 'well' | 'trial fails'): Move | undefined {
  const { state, hung } = world;
  const { reload } = state;
  const [probe] = probeMoves(world);
  if (probe !== undefined) return probe;
  for (const worker of state.workers) {
    const isTrial = how === 'trial fails' && worker.generation === reload?.target;
    if (worker.phase === 'starting' && !hung.includes(worker.key))
      return isTrial ? exit(worker, 1) : worker.slot === 0 ? booted(worker) : ready(worker);
    if (worker.phase === 'draining' && !hung.includes(worker.key)) return workerMoves(world, worker)[0];
    if (worker.phase === 'dying') return exit(worker, 1);
  }
  return undefined;
}
