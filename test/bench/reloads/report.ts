import type { ClientKind, FailureKind, LoadReport } from '../../support/load.js';
import type { Outcome } from './rounds.js';

const kinds: readonly ClientKind[] = ['keep-alive', 'per-connection', 'slow-body', 'pipelining'];

type Row = readonly [string, (outcome: Outcome) => string | number];

/** Every request that was sent and has no good answer, every connection that was refused. */
export function lostIn({ failed, refused }: LoadReport): number {
  return failed + refused;
}

/** One column a contender. */
export function report(outcomes: readonly Outcome[]): string {
  const cells = rows.map(([title, cell]) => [title, ...outcomes.map((outcome) => String(cell(outcome)))]);
  const table = [['', ...outcomes.map(({ name }) => name)], ...cells];
  const widths = table.reduce<number[]>(
    (known, row) => row.map((cell, column) => Math.max(known[column] ?? 0, cell.length)),
    [],
  );
  return table
    .map((row) =>
      row
        .map((cell, column) => pad(cell, column, widths))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const rows: readonly Row[] = [
  ['reloads', ({ took }) => took.length],
  ...kinds.map((kind): Row => [`answered: ${kind}`, ({ load }) => load.byClient[kind]?.ok ?? 0]),
  ['to be sent again (RFC 9112 9.3.2)', ({ load }) => load.unanswered],
  ...kinds.map((kind): Row => [`failed: ${kind}`, ({ load }) => load.byClient[kind]?.failed ?? 0]),
  ['of these: reset', failures('reset')],
  ['of these: connection ended', failures('eof')],
  ['of these: timed out', failures('timeout')],
  ['of these: a bad answer', failures('status', 'malformed')],
  ['of these: no connection', failures('connect')],
  ['refused connections', ({ load }) => load.refused],
  ['resets of idle connections', ({ load }) => load.idleResets],
  ['lost', ({ load }) => lostIn(load)],
  ['lost in 200 reloads', ({ load, took }) => Math.round((lostIn(load) * 200) / took.length)],
  ['a reload, median, ms', ({ took }) => quantile(took, 0.5)],
  ['a reload, slowest, ms', ({ took }) => quantile(took, 1)],
  ['answers, median, ms', ({ load }) => load.latency.p50.toFixed(1)],
  ['answers, 99 %, ms', ({ load }) => load.latency.p99.toFixed(1)],
  ['answers a second', ({ load }) => Math.round(load.ok / load.seconds)],
];

function failures(...of: readonly FailureKind[]): (outcome: Outcome) => number {
  return ({ load }) => of.reduce((sum, kind) => sum + (load.failures[kind] ?? 0), 0);
}

function quantile(values: readonly number[], of: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * of))] ?? Number.NaN);
}

function pad(cell: string, column: number, widths: readonly number[]): string {
  const width = widths[column] ?? 0;
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}
