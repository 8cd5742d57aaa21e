import { duration, integer, type Kind, setting } from './kinds.js';

/** Between how many workers the service scales itself, such as `2..8`. */
export type WorkerRange = `${number}..${number}`;
/** The same up to one worker per CPU. */
export type OpenRange = `${number}..auto`;
/** A number of workers, or a range of them: what `workers` is in effect. */
export type WorkerCount = number | WorkerRange;

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** The smallest and the largest number of workers; the same number twice where it is fixed. */
export function boundsOf(workers: WorkerCount): Bounds {
  if (typeof workers === 'number') return { min: workers, max: workers };
  const [min = 1, max = min] = workers.split('..').map(Number);
  return { min, max };
}

/** A range where its ends differ, else a number. */
export function rangeOf({ min, max }: Bounds): WorkerCount {
  return min === max ? min : `${min}..${max}`;
}

/** The smallest number of an open range. */
export function leastOf(range: OpenRange): number {
  return Number(range.split('..')[0]);
}

/** `auto`, `4`, `2..8` or `2..auto`. */
export function workerCount(limits: Bounds): Kind<'auto' | WorkerCount | OpenRange> {
  const number = integer(limits);
  const range = (given: unknown): WorkerRange | OpenRange | undefined => {
    const [, low, high] = (typeof given === 'string' && /^(\d{1,15})\.\.(\d{1,15}|auto)$/.exec(given)) || [];
    const min = number.parse(low, 'text');
    if (min === undefined) return undefined;
    if (high === 'auto') return `${min}..auto`;
    const max = number.parse(high, 'text');
    return max === undefined || max < min ? undefined : `${min}..${max}`;
  };
  return {
    expected: `"auto", ${number.expected}, or a range of them such as "2..8" or "2..auto"`,
    parse: (given, form) => (given === 'auto' ? 'auto' : (range(given) ?? number.parse(given, form))),
    show: String,
    literal: (value) => (typeof value === 'number' ? String(value) : JSON.stringify(value)),
  };
}

const second = 1000;
const minute = 60 * second;

/** `[scale]`: how the service scales itself where `workers` is a range. */
export const scaleSection = {
  'scale.target': setting({
    kind: integer({ min: 10, max: 90, unit: '%' }),
    default: 70,
    readers: ['policy'],
    description:
      'Percentage of the time that the event loops of the workers are to be busy, where `workers` is a range. There are more workers soon after it is exceeded by half of what is left to 100 %, and fewer once fewer could keep it for `scale.down_after`. See [autoscale](../how-to/autoscale.md).',
  }),
  'scale.down_after': setting({
    kind: duration({ min: second, max: 24 * 60 * minute }),
    default: 5 * minute,
    readers: ['policy'],
    description:
      'How long fewer workers must have been enough before there are fewer, where `workers` is a range.',
  }),
} as const;
