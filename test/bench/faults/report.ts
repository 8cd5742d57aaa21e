import type { Outcome } from './play.js';
import type { Figure } from './replacement.js';

/** One line of the table. */
export interface Played {
  readonly title: string;
  readonly who: string;
  /** One for each round; an Error where it could not be run. */
  readonly outcomes: readonly (Outcome | Error)[];
  readonly causeExpected: boolean;
}

const titles = [
  ...['fault', 'service', 'sent', 'answered', 'refused', 'reset', 'timed out', 'bad', 'lost inside'],
  ...['lost outside', 'no answer for', 'full strength', 'active again', 'cause in the log'],
];

/** What of it a service must not do; empty: nothing. */
export function faultsIn({ outcomes }: Played): string[] {
  return outcomes.flatMap((outcome) => (outcome instanceof Error ? [outcome.message] : faultsOf(outcome)));
}

export function report(played: readonly Played[], figures: readonly Figure[]): string {
  const scenarios = played.length === 0 ? '' : table([titles, ...played.map(row)]);
  return [scenarios, table(figures.map(figureRow))].filter((part) => part !== '').join('\n\n');
}

function table(rows: readonly (readonly string[])[]): string {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, nth) =>
    Math.max(...rows.map((cells) => cells[nth]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) => cells.map((cell, nth) => pad(cell, nth, widths)).join('  ');
  return rows.map((cells) => line(cells).trimEnd()).join('\n');
}

function faultsOf({ losses, strongAfter, collateral, state, missing }: Outcome): string[] {
  return [
    ...(losses.outside > 0 ? [`${losses.outside} lost outside: ${losses.examples.join('; ')}`] : []),
    ...(strongAfter === null ? ['full strength not in time'] : []),
    ...(collateral === null ? [] : [`${collateral} died, too`]),
    ...(state.active ? [] : ['not active']),
    ...(missing === null ? [] : [`not in the log: ${missing}`]),
  ];
}

function row({ title, who, outcomes, causeExpected }: Played): string[] {
  const good = outcomes.filter((outcome): outcome is Outcome => !(outcome instanceof Error));
  if (good.length === 0) return [title, who, 'could not be run', ...titles.slice(3).map(() => '')];
  const sum = (of: (outcome: Outcome) => number) => String(good.reduce((all, one) => all + of(one), 0));
  return [
    title,
    who,
    sum(sentIn),
    sum(({ load }) => load.ok),
    sum(({ losses }) => losses.byKind.refused),
    sum(({ losses }) => losses.byKind.reset),
    sum(({ losses }) => losses.byKind.timeout),
    sum(({ losses }) => losses.byKind.status),
    sum(({ losses }) => losses.inside),
    sum(({ losses }) => losses.outside),
    seconds(median(good.map(({ longestPause }) => longestPause))),
    strength(good),
    active(good),
    causeExpected ? yes(good.every(({ missing }) => missing === null)) : '-',
  ];
}

/** A refused connection is a request that could not even be sent. */
function sentIn({ load }: Outcome): number {
  return load.ok + load.failed + load.refused + load.unanswered;
}

function strength(outcomes: readonly Outcome[]): string {
  if (outcomes.some(({ strongAfter }) => strongAfter === null)) return 'not in time';
  if (outcomes.every(({ shaken }) => !shaken)) return 'kept';
  return seconds(median(outcomes.flatMap(({ strongAfter }) => strongAfter ?? [])));
}

function active(outcomes: readonly Outcome[]): string {
  const restarts = outcomes.reduce((sum, { state }) => sum + state.restarts, 0);
  const is = yes(outcomes.every(({ state }) => state.active));
  return restarts === 0 ? is : `${is}, restarted ${restarts}x`;
}

function figureRow({ title, who, times, target }: Figure): string[] {
  if (times instanceof Error) return [title, who, 'could not be measured'];
  const middle = median(times);
  const range = `${milliseconds(Math.min(...times))}-${milliseconds(Math.max(...times))}`;
  const verdict = target === null ? '' : `, target ${target}: ${middle <= target ? 'met' : 'missed'}`;
  return [title, who, `${milliseconds(middle)} ms, median of ${times.length} (${range})${verdict}`];
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function seconds(ms: number): string {
  return Number.isNaN(ms) ? 'not in time' : `${(ms / 1000).toFixed(2)} s`;
}

function milliseconds(ms: number): string {
  return ms < 100 ? ms.toFixed(1) : ms.toFixed(0);
}

function yes(is: boolean): string {
  return is ? 'yes' : 'no';
}

function pad(cell: string, column: number, widths: readonly number[]): string {
  const width = widths[column] ?? 0;
  return column < 2 ? cell.padEnd(width) : cell.padStart(width);
}
