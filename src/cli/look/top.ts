import { exitCodes } from '../../errors.js';
import type { ClusterStats, WorkerStats } from '../../protocol/stats.js';
import { count } from '../../protocol/words.js';
import { wholeNumber } from '../arguments.js';
import { mebibytes, type Screen, span, type Terminal, table } from '../output.js';
import type { CommandExit, Session } from '../session.js';
import { cut, growthLines, redraw, sparkline, type Trends, watch } from './live.js';
import { deathLine } from './status.js';
import { type Column, columns, ofRequests, workersTable } from './worker-table.js';

export interface TopFlags {
  /** How many looks; text, as it was given. */
  readonly number?: string;
}

/** `rom-agent top`: a screen that shows the workers second by second, those with most to do first. */
export async function topCommand(session: Session, { number }: TopFlags): Promise<CommandExit> {
  const { terminal } = session;
  const looks =
    number === undefined
      ? Number.POSITIVE_INFINITY
      : wholeNumber('--number:', number, { most: 999_999_999, expected: 'a whole number from 1' });
  const ended = new AbortController();
  let order: Order = 'u';
  let last: { stats: ClusterStats; trends: Trends; note: string | null } | null = null;
  // Not before the first answer: without a daemon the reason belongs on the terminal as it was.
  let screen: Screen | null = null;
  let draw: ((text: string) => void) | null = null;
  const show = (): void => {
    if (last === null) return;
    draw?.(top({ ...last, order, terminal }));
  };
  try {
    await watch(
      session,
      (stats, trends, note) => {
        last = { stats, trends, note };
        if (draw === null) {
          screen = terminal.openScreen();
          draw = screen === null ? redraw(terminal) : (text) => screen?.draw(cut(text, terminal));
          screen?.onKey((key) => {
            if (key === 'q' || key === '\x03' || key === '\x1b') ended.abort();
            if (isOrder(key)) order = key;
            show();
          });
        }
        show();
      },
      { looks, ended: ended.signal },
    );
  } finally {
    (screen as Screen | null)?.close();
  }
  return exitCodes.ok;
}

interface TopView {
  readonly stats: ClusterStats;
  readonly trends: Trends;
  /** About the daemon, where it does not answer. */
  readonly note: string | null;
  readonly order: Order;
  readonly terminal: Terminal;
}

/** The picture of one moment. */
export function top({ stats, trends, note, order, terminal }: TopView): string {
  const { paint } = terminal;
  const isProcess = stats.kind === 'process';
  const sorted = [...stats.workers].sort((a, b) => orders[order].of(b) - orders[order].of(a));
  const shown = topColumns(stats, trends).filter((column) => !isProcess || !ofRequests.includes(column));
  const workers = workersTable(sorted, {
    terminal,
    columns: shown,
    dispensable: [
      columns.connections,
      columns.uptime,
      columns.restarts,
      columns.generation,
      columns.delay,
      columns.inFlight,
    ],
  });
  const deaths = stats.deaths.slice(0, 3).map((death) => paint('red', deathLine(death)));
  const growing = growthLines(trends).map((line) => paint('yellow', line));
  const keys = Object.entries(orders).map(([key, { name }]) => `${key} ${name}`);
  return [
    table(header(stats, trends, terminal)),
    '\n',
    workers,
    ...(deaths.length === 0 ? [] : ['\n', ...deaths.map((line) => `${line}\n`)]),
    ...(growing.length === 0 ? [] : ['\n', ...growing.map((line) => `${line}\n`)]),
    ...(note === null ? [] : ['\n', `${paint('yellow', note)}\n`]),
    ...(terminal.interactive
      ? ['\n', paint('dim', `by ${orders[order].name}. ${keys.join(', ')}; q ends`), '\n']
      : []),
  ].join('');
}

type Order = 'n' | 'r' | 'u' | 'd' | 'm';

const orders: Readonly<
  Record<Order, { readonly name: string; readonly of: (worker: WorkerStats) => number }>
> = {
  u: { name: 'utilization', of: (worker) => worker.eventLoopUtilization },
  r: { name: 'requests', of: (worker) => worker.requestsPerSecond },
  d: { name: 'delay', of: (worker) => worker.eventLoopDelayMs },
  m: { name: 'memory', of: (worker) => worker.rssBytes },
  n: { name: 'number', of: ({ id }) => -(id ?? Number.MAX_SAFE_INTEGER) },
};

function isOrder(key: string): key is Order {
  return Object.hasOwn(orders, key);
}

const trendWidth = 16;

function topColumns({ kind, workers }: ClusterStats, trends: Trends): readonly Column[] {
  const most = Math.max(1, ...workers.flatMap((worker) => trends.of(worker).requestsPerSecond));
  const requests: Column = {
    head: '',
    cell: (worker, { unicode }) =>
      sparkline(trends.of(worker).requestsPerSecond, { width: trendWidth, top: most, unicode }),
  };
  const utilization: Column = {
    head: '',
    cell: (worker, { unicode }) =>
      sparkline(trends.of(worker).utilization, { width: trendWidth, top: 1, unicode }),
  };
  const { worker, pid, health, requestsPerSecond, inFlight, connections, delay, rss } = columns;
  return [
    ...[worker, pid, health, columns.utilization, utilization],
    ...(kind === 'process' ? [] : [requestsPerSecond, requests]),
    ...[inFlight, connections, delay, rss, columns.generation, columns.uptime, columns.restarts],
  ];
}

function header(stats: ClusterStats, trends: Trends, terminal: Terminal): readonly (readonly string[])[] {
  const { status, kind, generation, ready, wanted, restarts, requestsPerSecond, inFlight, master } = stats;
  const { paint, unicode } = terminal;
  // What is beside the sparkline takes some 42 columns.
  const width = terminal.interactive ? Math.max(10, Math.min(60, terminal.columns() - 42)) : 60;
  const line = (values: readonly number[], most: number): string =>
    sparkline(values, { width, top: most, unicode });
  const busiest = trends.utilization.at(-1) ?? 0;
  const memory = trends.rssBytes.at(-1) ?? 0;
  return [
    [
      'service',
      `${paint(ready < wanted ? 'yellow' : 'green', `${status}, ${ready} of ${wanted} ready`)}, generation ${generation}, ` +
        `${count(restarts, 'restart')}, up ${span(master.uptimeSeconds * 1000)}`,
    ],
    ...(kind === 'process'
      ? []
      : [
          [
            'requests',
            `${line(trends.requestsPerSecond, Math.max(1, ...trends.requestsPerSecond))}  ${requestsPerSecond}/s, ${inFlight} in flight`,
          ],
        ]),
    ['busiest', `${line(trends.utilization, 1)}  ${Math.round(busiest * 100)} % of its event loop`],
    ['memory', `${line(trends.rssBytes, Math.max(...trends.rssBytes, 1))}  ${mebibytes(memory)}`],
  ];
}
