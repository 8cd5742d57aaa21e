import { inverted } from './fit.js';

/*
 * Least squares for what is spent in spans of time: each span's sum is explained by how often each cause was at work in it.
 * No `node:`, no state.
 */

export interface Rate {
  /** What one unit of the cause takes. */
  readonly slope: number;
  /** Standard error. */
  readonly error: number;
  /** False: it comes and goes with others, so that nobody can tell its part from theirs. */
  readonly isApart: boolean;
}

/** A residual of more than so many of the usual size counts less: a stray collection, a compilation, a busy machine. */
const usualUpTo = 10;
/** The median of the absolute values of a normal distribution is this share of its standard deviation. */
const medianShare = 0.6745;
/** The variance of a span grows with its sum, but no span is without any: share of the mean. */
const leastVariance = 0.1;
/** How much larger the variance of a slope is than it would be without the other causes, at most. */
const mostInflation = 1e5;
/** Keeps the matrix from having no inverse, and is too little to matter. */
const ridge = 1e-8;
const rounds = 3;
/** Residuals that hang together more than this say nothing. */
const mostMemory = 0.98;

/**
 * @param y what was spent in each span
 * @param x how often each cause was at work in it; no column is empty
 * @param of whose span it is: those of one follow each other
 * @returns a rate for each cause; null: there is nothing to tell
 */
export function rates(
  y: readonly number[],
  x: readonly (readonly number[])[],
  of: readonly number[] = [],
): readonly Rate[] | null {
  const columns = x[0]?.length ?? 0;
  if (y.length <= columns) return null;
  let weights: readonly number[] = y.map(() => 1);
  let solution = solve(y, x, weights);
  for (let round = 0; round < rounds && solution !== null; round += 1) {
    weights = weightsOf(y, x, solution.slopes);
    solution = solve(y, x, weights);
  }
  if (solution === null) return null;
  const { slopes, inverse, products } = solution;
  const errors = errorsOf({ y, x, of, weights, slopes, inverse });
  return slopes.map((slope, at) => ({
    slope,
    error: errors[at] ?? Number.POSITIVE_INFINITY,
    isApart: (inverse[at]?.[at] ?? 0) * (products[at]?.[at] ?? 0) < mostInflation,
  }));
}

function solve(y: readonly number[], x: readonly (readonly number[])[], weights: readonly number[]) {
  const columns = x[0]?.length ?? 0;
  const sums = square(columns);
  const right = new Array<number>(columns).fill(0);
  for (const [at, row] of x.entries()) {
    addOuter(sums, row, weights[at] ?? 0);
    const scaled = (weights[at] ?? 0) * (y[at] ?? 0);
    for (let i = 0; i < columns; i += 1) right[i] = (right[i] ?? 0) + scaled * (row[i] ?? 0);
  }
  const products = symmetric(sums);
  const inverse = inverted(
    products.map((row, i) => row.map((value, j) => (i === j ? value * (1 + ridge) : value))),
  );
  if (inverse === null) return null;
  return { slopes: inverse.map((row) => dot(row, right)), inverse, products };
}

/**
 * One request varies by about what it takes, so that a span varies by the squares of what was at work in it. What is far
 * from all others, by its own size, counts less.
 */
function weightsOf(
  y: readonly number[],
  x: readonly (readonly number[])[],
  slopes: readonly number[],
): readonly number[] {
  const expected = fitted(x, slopes);
  const squares = fitted(
    x,
    slopes.map((slope) => slope * slope),
  );
  const least = leastVariance * (squares.reduce((sum, value) => sum + value, 0) / squares.length);
  const variances = squares.map((value) => Math.max(least, value, Number.MIN_VALUE));
  const sizes = y.map((value, at) => Math.abs(value - (expected[at] ?? 0)) / Math.sqrt(variances[at] ?? 1));
  const usual = median(sizes) / medianShare;
  return sizes.map((size, at) => {
    const trust = usual > 0 && size > usualUpTo * usual ? (usualUpTo * usual) / size : 1;
    return trust / (variances[at] ?? 1);
  });
}

interface Fitted {
  readonly y: readonly number[];
  readonly x: readonly (readonly number[])[];
  readonly of: readonly number[];
  readonly weights: readonly number[];
  readonly slopes: readonly number[];
  readonly inverse: readonly (readonly number[])[];
}

/**
 * The larger of two: the usual standard errors, and those that hold whatever the variances are (MacKinnon and White, 1985:
 * HC3), which see that a cause was at work in few spans. Both grow with what of a residual is in the next one.
 */
function errorsOf({ y, x, of, weights, slopes, inverse }: Fitted): readonly number[] {
  const columns = slopes.length;
  const expected = fitted(x, slopes);
  const sums = square(columns);
  let rest = 0;
  for (const [at, row] of x.entries()) {
    const weight = weights[at] ?? 0;
    const residual = (y[at] ?? 0) - (expected[at] ?? 0);
    rest += weight * residual * residual;
    const leverage =
      weight *
      dot(
        row,
        inverse.map((line) => dot(line, row)),
      );
    const lonely = 1 / Math.max(1e-3, 1 - Math.min(1, leverage));
    addOuter(sums, row, (weight * residual * lonely) ** 2);
  }
  const meat = symmetric(sums);
  const memory = memoryOf(
    y.map((value, at) => (value - (expected[at] ?? 0)) * Math.sqrt(weights[at] ?? 0)),
    of,
  );
  const longer = (1 + memory) / (1 - memory);
  const variance = rest / Math.max(1, y.length - columns);
  return inverse.map((line, i) => {
    const usual = variance * (line[i] ?? 0);
    const whatever = dot(
      line,
      meat.map((row) => dot(row, line)),
    );
    return Math.sqrt(longer * Math.max(0, usual, whatever));
  });
}

/** How much of a residual is in the next one of the same worker, 0 to 1. */
function memoryOf(residuals: readonly number[], of: readonly number[]): number {
  const last = new Map<number, number>();
  let products = 0;
  let squares = 0;
  for (const [at, residual] of residuals.entries()) {
    const whose = of[at] ?? 0;
    const before = last.get(whose);
    last.set(whose, residual);
    if (before === undefined) continue;
    products += before * residual;
    squares += before * before;
  }
  return squares > 0 ? Math.min(mostMemory, Math.max(0, products / squares)) : 0;
}

function fitted(x: readonly (readonly number[])[], slopes: readonly number[]): readonly number[] {
  return x.map((row) => dot(row, slopes));
}

/** Most rows are mostly zeros: these cost nothing. Only the lower half: see symmetric(). */
function addOuter(into: readonly Float64Array[], row: readonly number[], weight: number): void {
  for (let i = 0; i < row.length; i += 1) {
    const scaled = weight * (row[i] ?? 0);
    const line = into[i];
    if (scaled === 0 || line === undefined) continue;
    for (let j = 0; j <= i; j += 1) line[j] = (line[j] ?? 0) + scaled * (row[j] ?? 0);
  }
}

function square(size: number): readonly Float64Array[] {
  return Array.from({ length: size }, () => new Float64Array(size));
}

function symmetric(lower: readonly Float64Array[]): readonly (readonly number[])[] {
  return lower.map((line, i) => Array.from(line, (value, j) => (j <= i ? value : (lower[j]?.[i] ?? 0))));
}

function dot(one: readonly number[], other: readonly number[]): number {
  let sum = 0;
  for (let at = 0; at < one.length; at += 1) sum += (one[at] ?? 0) * (other[at] ?? 0);
  return sum;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
