import { bare, type Contender, daemon } from './contenders.js';

/** What is measured once a round for each contender. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly digits: number;
  /** What is asked of the daemon, in words, and the test of it; null for a figure that is only shown. */
  readonly target: Target | null;
}

export interface Target {
  readonly text: string;
  readonly met: (daemon: Summary, ratio: Summary) => boolean;
}

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The samples of a run, in the order of the rounds. */
export class Samples {
  readonly #values = new Map<Figure, Map<Contender, number[]>>();

  add(figure: Figure, contender: Contender, value: number): void {
    const byContender = this.#values.get(figure) ?? new Map<Contender, number[]>();
    this.#values.set(figure, byContender);
    byContender.set(contender, [...(byContender.get(contender) ?? []), value]);
  }

  figures(): readonly Figure[] {
    return [...this.#values.keys()];
  }

  of(figure: Figure, contender: Contender): readonly number[] {
    return this.#values.get(figure)?.get(contender) ?? [];
  }

  /** Daemon over bare, round by round: the two of a round ran within the same seconds. */
  ratios(figure: Figure): readonly number[] {
    const peer = this.of(figure, bare);
    return this.of(figure, daemon).map((value, round) => value / (peer[round] ?? Number.NaN));
  }
}

/** @throws RangeError for no values. */
export function summarise(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (min === undefined || max === undefined) throw new RangeError('there are no values to summarise');
  return { median: median(sorted), min, max };
}

function median(sorted: readonly number[]): number {
  const middle = sorted.slice(Math.ceil(sorted.length / 2) - 1, Math.floor(sorted.length / 2) + 1);
  return middle.reduce((total, value) => total + value, 0) / middle.length;
}
