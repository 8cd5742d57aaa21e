import { random } from '../../src/core/backoff.js';

/** A sequence of choices that its seed alone decides. */
export class Choices {
  #state: number;

  constructor(seed: number) {
    // Neighbours of mulberry32 resemble each other in their first numbers.
    this.#state = Math.imul(seed + 1, 2_654_435_761) | 0;
  }

  /** In [0, 1). */
  next(): number {
    const [value, state] = random(this.#state);
    this.#state = state;
    return value;
  }

  /** Both ends included. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(list: readonly T[]): T {
    const chosen = list[this.int(0, list.length - 1)];
    if (chosen === undefined) throw new Error('nothing to choose from');
    return chosen;
  }
}
