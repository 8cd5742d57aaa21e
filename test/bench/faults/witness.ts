import type { LoadWatch } from '../../support/load.js';
import type { Noticed } from './losses.js';

/** A process that answers: its first and last answer on the clock of performance.now(). */
export interface Seen {
  readonly pid: number;
  readonly first: number;
  readonly last: number;
}

/** Sees every answer and every loss of a load. */
export class Witness {
  readonly watch: LoadWatch;
  readonly lost: Noticed[] = [];
  readonly #seen = new Map<number, Seen>();
  #last: number | null = null;
  #longestPause = 0;

  constructor() {
    this.watch = {
      answered: (body) => this.#answered(body),
      lost: (loss) => void this.lost.push({ ...loss, at: Date.now() }),
    };
  }

  /** What was answered before counts no longer. */
  forget(): void {
    this.#seen.clear();
    this.#longestPause = 0;
    this.#last = performance.now();
  }

  /** The longest time without any answer since `forget()`, ms; the one that lasts counts. */
  longestPause(): number {
    return Math.max(this.#longestPause, performance.now() - (this.#last ?? performance.now()));
  }

  /** Who has answered since `forget()`, in the order of the first answers. */
  seen(): Seen[] {
    return [...this.#seen.values()].sort((a, b) => a.first - b.first);
  }

  #answered(body: string): void {
    const now = performance.now();
    if (this.#last !== null) this.#longestPause = Math.max(this.#longestPause, now - this.#last);
    this.#last = now;
    const pid = Number(/"pid":(\d+)/.exec(body)?.[1]);
    if (pid > 0) this.#seen.set(pid, { pid, first: this.#seen.get(pid)?.first ?? now, last: now });
  }
}
