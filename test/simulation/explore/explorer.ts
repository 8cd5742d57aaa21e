import type { Policy } from '../../../src/core/policy.js';
import { canonical } from './canonical.js';
import { livenesses, Proof } from './liveness.js';
import { moves } from './moves.js';
import { type Core, play, Violation, type World } from './world.js';

export interface Exploration {
  readonly core: Core;
  readonly policy: Policy;
  readonly root: World;
  /** Moves from the root. */
  readonly depth: number;
  /** Whether it goes on from where the service stops, or leaves it with what must come about from there. */
  readonly beyondStop: boolean;
}

export interface Explored {
  readonly states: number;
  readonly transitions: number;
  /** Whether there is nothing beyond the depth. */
  readonly complete: boolean;
}

interface Node {
  readonly world: World;
  readonly words: string;
  readonly parent: Node | null;
}

/**
 * Goes through all orders of all moves, breadth first and each state once, and holds every step against the invariants
 * and every state against what must come about from it.
 *
 * @throws Violation with the shortest way there
 */
export function explore({ core, policy, root, depth, beyondStop }: Exploration): Explored {
  const seen = new Set([canonical(root)]);
  const proofs = livenesses.map((liveness) => new Proof(liveness));
  let transitions = 0;
  let layer: readonly Node[] = [{ world: root, words: 'the root', parent: null }];
  for (let level = 0; level < depth && layer.length > 0; level++) {
    const next: Node[] = [];
    for (const node of layer) {
      for (const move of moves(core, node.world, policy)) {
        transitions += 1;
        const words = move.words;
        explain({ world: node.world, words, parent: node }, () => {
          const world = play(core, node.world, move, policy);
          const name = canonical(world);
          if (seen.has(name)) return;
          seen.add(name);
          for (const proof of proofs) proof.check(core, world, policy);
          if (beyondStop || world.state.life.phase !== 'stopping') next.push({ world, words, parent: node });
        });
      }
    }
    layer = next;
  }
  return { states: seen.size, transitions, complete: layer.length === 0 };
}

/** Adds the way to what went wrong. */
function explain(node: Node, attempt: () => void): void {
  try {
    attempt();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Violation(`${reason}\n  after: ${wayTo(node).join('\n         ')}`, { cause: error });
  }
}

function wayTo(node: Node): readonly string[] {
  const way: string[] = [];
  for (let here: Node | null = node; here !== null; here = here.parent) way.unshift(here.words);
  return way;
}
