/*
 * Least squares for few columns: levels of several series, each with a level of its own, are explained by regressors that
 * all series have in common. No `node:`, no state.
 */

/** One series: what was measured, and at each measurement the value of each regressor. */
export interface Series {
  readonly y: readonly number[];
  /** A row for each measurement, a number for each regressor. */
  readonly x: readonly (readonly number[])[];
}

export interface Measurements {
  /** Weighted sum of squares that these regressors leave; null: two say the same, or one has a slope below 0. */
  rest(chosen: readonly number[]): number | null;
  /** Variance of what they leave, with what of it is in the next measurement allowed for. */
  noise(chosen: readonly number[]): number;
  /** Their slopes and the standard errors of these, in their order. */
  slopes(chosen: readonly number[]): readonly { readonly slope: number; readonly error: number }[];
  /** Has outliers count less from now on, judged by what these regressors leave. */
  reweigh(chosen: readonly number[]): void;
  /** Measurements, less a level for each series. */
  readonly freedom: number;
}

/** A residual of more than so many of the usual size counts less: Huber's k. */
const huber = 1.345;
/** The median of the absolute values of a normal distribution is this share of its standard deviation. */
const medianShare = 0.6745;
const smallest = 1e-12;
/** Residuals that hang together more than this say nothing. */
const mostMemory = 0.98;

export function measurements(all: readonly Series[]): Measurements {
  const series = all.filter(({ y }) => y.length >= 2);
  const count = series.reduce((sum, { y }) => sum + y.length, 0);
  let weights = series.map(({ y }) => y.map(() => 1));
  let moments = momentsOf(series, weights);

  const solve = (chosen: readonly number[]) => {
    const inverse = inverted(chosen.map((i) => chosen.map((j) => moments.products[i]?.[j] ?? 0)));
    if (inverse === null) return null;
    const right = chosen.map((column) => moments.withY[column] ?? 0);
    const slopes = inverse.map((row) => row.reduce((sum, value, at) => sum + value * (right[at] ?? 0), 0));
    const explained = slopes.reduce((sum, slope, at) => sum + slope * (right[at] ?? 0), 0);
    return { slopes, inverse, rest: Math.max(0, moments.ofY - explained) };
  };

  const residualsOf = (chosen: readonly number[], slopes: readonly number[]) =>
    series.map(({ y, x }, which) => {
      const left = y.map((value, at) =>
        chosen.reduce((rest, column, i) => rest - (slopes[i] ?? 0) * (x[at]?.[column] ?? 0), value),
      );
      const middle = mean(left, weights[which] ?? []);
      return left.map((value) => value - middle);
    });

  const noise = (chosen: readonly number[]) => {
    const solution = solve(chosen);
    if (solution === null) return Number.POSITIVE_INFINITY;
    const left = weights.flat().reduce((sum, weight) => sum + weight, 0) - series.length - chosen.length;
    const memory = memoryOf(residualsOf(chosen, solution.slopes), weights);
    return Math.max(smallest, (solution.rest / Math.max(1, left)) * ((1 + memory) / (1 - memory)));
  };

  return {
    freedom: count - series.length,
    rest: (chosen) => {
      const solution = solve(chosen);
      return solution === null || solution.slopes.some((slope) => slope <= 0) ? null : solution.rest;
    },
    noise,
    slopes: (chosen) => {
      const variance = noise(chosen);
      const { slopes = [], inverse = [] } = solve(chosen) ?? {};
      return slopes.map((slope, at) => ({ slope, error: Math.sqrt(variance * (inverse[at]?.[at] ?? 0)) }));
    },
    reweigh: (chosen) => {
      const solution = solve(chosen);
      if (solution === null) return;
      const residuals = residualsOf(chosen, solution.slopes);
      const sizes = residuals
        .flat()
        .map(Math.abs)
        .sort((a, b) => a - b);
      const usual = (sizes[Math.floor(sizes.length / 2)] ?? 0) / medianShare;
      if (usual <= 0) return;
      weights = residuals.map((values) =>
        values.map((value) => Math.min(1, (huber * usual) / Math.max(smallest, Math.abs(value)))),
      );
      moments = momentsOf(series, weights);
    },
  };
}

/** Sums of products of all columns, each less its mean in its series. */
function momentsOf(series: readonly Series[], weights: readonly (readonly number[])[]) {
  const columns = series[0]?.x[0]?.length ?? 0;
  const products = Array.from({ length: columns }, () => new Array<number>(columns).fill(0));
  const withY = new Array<number>(columns).fill(0);
  let ofY = 0;
  for (const [which, { y, x }] of series.entries()) {
    const weight = weights[which] ?? [];
    const middleY = mean(y, weight);
    const middles = withY.map((_, column) =>
      mean(
        x.map((row) => row[column] ?? 0),
        weight,
      ),
    );
    for (const [at, row] of x.entries()) {
      const w = weight[at] ?? 0;
      const fromY = (y[at] ?? 0) - middleY;
      const from = middles.map((middle, column) => (row[column] ?? 0) - middle);
      ofY += w * fromY * fromY;
      for (let i = 0; i < columns; i += 1) {
        const scaled = w * (from[i] ?? 0);
        withY[i] = (withY[i] ?? 0) + scaled * fromY;
        const line = products[i] ?? [];
        for (let j = 0; j < columns; j += 1) line[j] = (line[j] ?? 0) + scaled * (from[j] ?? 0);
      }
    }
  }
  return { products, withY, ofY };
}

/** How much of a residual is in the one after it, 0 to 1. */
function memoryOf(
  residuals: readonly (readonly number[])[],
  weights: readonly (readonly number[])[],
): number {
  let products = 0;
  let squares = 0;
  for (const [which, values] of residuals.entries()) {
    for (const [at, value] of values.entries()) {
      if (at === 0) continue;
      const before = values[at - 1] ?? 0;
      const weight = (weights[which]?.[at] ?? 0) * (weights[which]?.[at - 1] ?? 0);
      products += weight * before * value;
      squares += weight * before * before;
    }
  }
  return squares > 0 ? Math.min(mostMemory, Math.max(0, products / squares)) : 0;
}

function mean(values: readonly number[], weights: readonly number[]): number {
  let sum = 0;
  let total = 0;
  for (const [at, value] of values.entries()) {
    const weight = weights[at] ?? 0;
    sum += weight * value;
    total += weight;
  }
  return total > 0 ? sum / total : 0;
}

/** Gauss and Jordan, with the columns scaled to the same size; null where one column is a sum of others. */
export function inverted(matrix: readonly (readonly number[])[]): number[][] | null {
  const size = matrix.length;
  const scales = matrix.map((row, at) => Math.sqrt(row[at] ?? 0));
  if (scales.some((scale) => !(scale > 0))) return null;
  const rows = matrix.map((row, i) => [
    ...row.map((value, j) => value / ((scales[i] ?? 1) * (scales[j] ?? 1))),
    ...Array.from({ length: size }, (_, j) => (i === j ? 1 : 0)),
  ]);
  for (let pivot = 0; pivot < size; pivot += 1) {
    let best = pivot;
    for (let row = pivot + 1; row < size; row += 1) {
      if (Math.abs(rows[row]?.[pivot] ?? 0) > Math.abs(rows[best]?.[pivot] ?? 0)) best = row;
    }
    const chosen = rows[best];
    const other = rows[pivot];
    if (chosen === undefined || other === undefined || Math.abs(chosen[pivot] ?? 0) < 1e-9) return null;
    [rows[pivot], rows[best]] = [chosen, other];
    const by = chosen[pivot] ?? 1;
    for (let column = 0; column < 2 * size; column += 1) chosen[column] = (chosen[column] ?? 0) / by;
    for (const [at, row] of rows.entries()) {
      const factor = row[pivot] ?? 0;
      if (at === pivot || factor === 0) continue;
      for (let column = 0; column < 2 * size; column += 1) {
        row[column] = (row[column] ?? 0) - factor * (chosen[column] ?? 0);
      }
    }
  }
  return rows.map((row, i) =>
    row.slice(size).map((value, j) => value / ((scales[i] ?? 1) * (scales[j] ?? 1))),
  );
}
