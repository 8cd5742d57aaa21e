import { type Growth, Heaps } from '../../heap/growth.js';
import { bytes } from '../../heap/words.js';
import type { ClusterStats, WorkerStats } from '../../protocol/stats.js';
import { workerName } from '../../protocol/words.js';
import { height, span, type Terminal, timeOfDay } from '../output.js';
import type { Session } from '../session.js';

/** Looks that are kept: a minute, since a terminal has little more room for a sparkline. */
const keptLooks = 60;

/** ms between two looks */
const interval = 1000;

/** What was seen at the last looks, oldest first. */
export interface Trends {
  /** Of the whole service. */
  readonly requestsPerSecond: readonly number[];
  /** The busiest worker's, 0 to 1. */
  readonly utilization: readonly number[];
  /** Master and workers, bytes. */
  readonly rssBytes: readonly number[];
  /** Workers whose heap grows and does not fall back, the largest first. */
  readonly growing: () => readonly Growth[];
  /** Of a process: a slot's next worker begins anew. */
  of(worker: WorkerStats): WorkerTrend;
}

export interface WorkerTrend {
  readonly requestsPerSecond: readonly number[];
  readonly utilization: readonly number[];
}

/** Remembers look after look; `atMs` is the wall clock, ms since 1970. */
export function createTrends(): Trends & { add(stats: ClusterStats, atMs: number): void } {
  const requestsPerSecond: number[] = [];
  const utilization: number[] = [];
  const rssBytes: number[] = [];
  const heaps = new Heaps();
  let workers = new Map<string, WorkerTrend>();
  return {
    requestsPerSecond,
    utilization,
    rssBytes,
    growing: () => heaps.growing(),
    of: (worker) => workers.get(keyOf(worker)) ?? { requestsPerSecond: [], utilization: [] },
    add: (stats, atMs) => {
      heaps.note(atMs, stats.workers);
      push(requestsPerSecond, stats.requestsPerSecond);
      push(utilization, Math.max(0, ...stats.workers.map((worker) => worker.eventLoopUtilization)));
      push(rssBytes, stats.master.rssBytes + sum(stats.workers.map((worker) => worker.rssBytes)));
      workers = new Map(
        stats.workers.map((worker) => {
          const { requestsPerSecond, utilization } = workers.get(keyOf(worker)) ?? {
            requestsPerSecond: [],
            utilization: [],
          };
          const trend = { requestsPerSecond: [...requestsPerSecond], utilization: [...utilization] };
          push(trend.requestsPerSecond, worker.requestsPerSecond);
          push(trend.utilization, worker.eventLoopUtilization);
          return [keyOf(worker), trend] as const;
        }),
      );
    },
  };
}

/** What is said of workers whose heap grows: the largest, and what shows the reason. */
export function growthLines({ growing }: Trends): readonly string[] {
  const [first, ...others] = growing();
  if (first === undefined) return [];
  const { worker, fromBytes, toBytes, overMs } = first;
  const who = workerName(worker);
  const too =
    others.length === 0
      ? ''
      : `, as ${others.length === 1 ? 'one other does' : `${others.length} others do`}`;
  const look = worker === null ? '' : `; rom-agent heap-snapshot ${worker} says what keeps it`;
  return [
    `${who} looks like it leaks${too}: its heap grew from ${bytes(fromBytes)} to ${bytes(toBytes)} in ${span(overMs)} and does not fall back${look}`,
  ];
}

/** U+2581 to U+2588, and what a terminal without UTF-8 has. */
const blocks = { true: '▁▂▃▄▅▆▇█', false: '_.-:=+*#' } as const;

/** The last `width` values as a line of as many characters; `top` is the value of the highest. */
export function sparkline(
  values: readonly number[],
  { width, top, unicode }: { readonly width: number; readonly top: number; readonly unicode: boolean },
): string {
  const steps = blocks[`${unicode}`];
  return values
    .slice(-width)
    .map((value) => {
      const share = top > 0 ? value / top : 0;
      return steps[Math.max(0, Math.min(steps.length - 1, Math.ceil(share * steps.length) - 1))] ?? '';
    })
    .join('')
    .padStart(width);
}

/**
 * Looks once a second until Ctrl-C, or until nobody reads, or `looks` times. A daemon that has answered once and does not
 * any more is waited for: a restart is what one watches for.
 *
 * @throws RomAgentError where the first question fails
 */
export async function watch(
  { client, clock, sleep, interrupted, terminal }: Session,
  draw: (stats: ClusterStats, trends: Trends, note: string | null) => void,
  { looks = Number.POSITIVE_INFINITY, ended }: { readonly looks?: number; readonly ended?: AbortSignal } = {},
): Promise<void> {
  const over = AbortSignal.any([interrupted(), terminal.readerGone, ...(ended === undefined ? [] : [ended])]);
  const abort = new Promise<void>((resolve) => {
    over.addEventListener('abort', () => resolve(), { once: true });
  });
  const trends = createTrends();
  let last: ClusterStats | null = null;
  let lostAt: number | null = null;
  for (let look = 0; look < looks && !over.aborted; look++) {
    if (look > 0) await Promise.race([sleep(interval), abort]);
    if (over.aborted) return;
    try {
      const stats = await Promise.race([client.status(), abort]);
      if (stats === undefined || over.aborted) return;
      trends.add(stats, clock());
      last = stats;
      lostAt = null;
    } catch (error) {
      if (last === null) throw error;
      lostAt ??= clock();
    }
    const note =
      lostAt === null
        ? null
        : `the daemon does not answer since ${timeOfDay(lostAt)}: this is what it said last`;
    draw(last, trends, note);
  }
}

/** Draws over what it has drawn before on a terminal; elsewhere one block below the other. */
export function redraw(terminal: Terminal): (text: string) => void {
  let last: string | null = null;
  return (text) => {
    const shown = terminal.interactive ? cut(text, terminal) : text;
    if (last !== null && terminal.interactive) terminal.erase(height(last, terminal.columns()));
    terminal.print(last === null || terminal.interactive ? shown : `\n${shown}`);
    last = shown;
  };
}

/** What fits: lines that have scrolled away cannot be drawn over. */
export function cut(text: string, terminal: Terminal): string {
  const rows = terminal.rows() - 1;
  const columns = terminal.columns();
  if (height(text, columns) <= rows) return text;
  const lines = text.replace(/\n$/, '').split('\n');
  const kept: string[] = [];
  let taken = 1;
  for (const line of lines) {
    taken += height(line, columns);
    if (taken > rows) break;
    kept.push(line);
  }
  return `${kept.join('\n')}\n(${lines.length - kept.length} more lines: the window is too low)\n`;
}

function keyOf({ id, pid }: WorkerStats): string {
  return `${id ?? 'spare'} ${pid ?? ''}`;
}

function push(list: number[], value: number): void {
  list.push(value);
  if (list.length > keptLooks) list.shift();
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
