import { summarise } from '../load/samples.js';

/** What is measured; the text is the key of its values in the file of all rounds. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly digits: number;
}

/** Of whom a value is. */
export interface Subject {
  readonly node: number;
  readonly app: string;
  readonly peer: string;
}

/** Medians, the least and the most. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** What the rounds of a run gave: figure, then `node app peer`, then one value a round. */
export type Table = Readonly<Record<string, Readonly<Record<string, readonly (number | null)[]>>>>;

/** The values of a run, in the order of the rounds. */
export class Rounds {
  readonly #values = new Map<string, Map<string, number[]>>();

  static from(table: Table): Rounds {
    const rounds = new Rounds();
    for (const [figure, bySubject] of Object.entries(table)) {
      const own = new Map<string, number[]>();
      for (const [key, values] of Object.entries(bySubject))
        own.set(
          key,
          values.map((value) => value ?? Number.NaN),
        );
      rounds.#values.set(figure, own);
    }
    return rounds;
  }

  add({ name }: Figure, subject: Subject, value: number): void {
    const own = this.#values.get(name) ?? new Map<string, number[]>();
    this.#values.set(name, own);
    const key = keyOf(subject);
    own.set(key, [...(own.get(key) ?? []), value]);
  }

  of({ name }: Figure, subject: Subject): readonly number[] {
    return this.#values.get(name)?.get(keyOf(subject)) ?? [];
  }

  /** Null where nothing was measured. */
  spread(figure: Figure, subject: Subject): Spread | null {
    const values = this.of(figure, subject).filter(Number.isFinite);
    return values.length === 0 ? null : summarise(values);
  }

  /** One over the other, round by round: the two of a round ran within the same minute. Null where there are none. */
  ratio(figure: Figure, subject: Subject, other: string): Spread | null {
    const others = this.of(figure, { ...subject, peer: other });
    const ratios = this.of(figure, subject).map((value, round) => value / (others[round] ?? Number.NaN));
    const known = ratios.filter(Number.isFinite);
    return known.length === 0 ? null : summarise(known);
  }

  toTable(): Table {
    const entries = [...this.#values].map(([figure, bySubject]) => {
      const own = [...bySubject].map(([key, values]) => [key, values.map(rounded)] as const);
      return [figure, Object.fromEntries(own)] as const;
    });
    return Object.fromEntries(entries);
  }
}

function keyOf({ node, app, peer }: Subject): string {
  return `${node} ${app} ${peer}`;
}

/** Four digits are more than a figure is worth. */
function rounded(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(5)) : null;
}
