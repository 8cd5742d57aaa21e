import type { WorkerStats } from '../../protocol/stats.js';
import { type Colour, height, mebibytes, span, type Terminal, table } from '../output.js';

export interface Column {
  readonly head: string;
  readonly cell: (worker: WorkerStats, terminal: Terminal) => string;
  readonly isText?: boolean;
}

/** Heartbeats come every second: from here on nobody knows what the worker does. */
const silentAfterMs = 1500;

export function isSilent({ heartbeatAgeMs }: WorkerStats): boolean {
  return heartbeatAgeMs !== null && heartbeatAgeMs > silentAfterMs;
}

/** What is as of the last heartbeat is not known of a worker that is silent. */
export const seen = (cell: (worker: WorkerStats) => string) => (worker: WorkerStats) =>
  isSilent(worker) ? '?' : cell(worker);

const phaseColours: Readonly<Record<WorkerStats['phase'], Colour>> = {
  starting: 'yellow',
  spare: 'dim',
  ready: 'green',
  draining: 'yellow',
  dying: 'red',
};

const healthColours: Readonly<Record<WorkerStats['health'], Colour>> = {
  healthy: 'green',
  degraded: 'yellow',
  unhealthy: 'red',
  unresponsive: 'red',
};

/** All that a table of workers may show, by its head. */
export const columns = {
  worker: { head: 'WORKER', cell: ({ id }) => (id === null ? '-' : String(id)) },
  pid: { head: 'PID', cell: ({ pid }) => (pid === null ? '-' : String(pid)) },
  phase: { head: 'PHASE', cell: ({ phase }, { paint }) => paint(phaseColours[phase], phase), isText: true },
  health: { head: 'HEALTH', cell: healthOf, isText: true },
  heartbeat: {
    head: 'HEARTBEAT',
    cell: ({ heartbeatAgeMs }) => (heartbeatAgeMs === null ? '-' : span(heartbeatAgeMs)),
  },
  generation: { head: 'GEN', cell: ({ generation }) => String(generation) },
  uptime: { head: 'UP', cell: ({ uptimeSeconds }) => span(uptimeSeconds * 1000) },
  requestsPerSecond: { head: 'REQ/S', cell: seen(({ requestsPerSecond }) => String(requestsPerSecond)) },
  requests: { head: 'REQUESTS', cell: ({ requests }) => String(requests) },
  inFlight: { head: 'IN-FLIGHT', cell: seen(({ inFlight }) => String(inFlight)) },
  connections: { head: 'CONNS', cell: seen(({ connections }) => String(connections)) },
  rss: { head: 'RSS', cell: ({ rssBytes }) => mebibytes(rssBytes) },
  delay: { head: 'DELAY', cell: seen(({ eventLoopDelayMs }) => `${Math.round(eventLoopDelayMs)} ms`) },
  utilization: {
    head: 'UTIL',
    cell: seen(({ eventLoopUtilization }) => `${Math.round(eventLoopUtilization * 100)} %`),
  },
  restarts: { head: 'RESTARTS', cell: ({ restarts }) => String(restarts) },
} satisfies Readonly<Record<string, Column>>;

/** What an app that is no server has nothing of. */
export const ofRequests: readonly Column[] = [
  columns.requestsPerSecond,
  columns.requests,
  columns.inFlight,
  columns.connections,
];

export interface TableOptions {
  readonly terminal: Terminal;
  readonly columns: readonly Column[];
  /** What a narrow terminal does without, in this order. */
  readonly dispensable: readonly Column[];
}

/** A line a worker. On a terminal none of them wraps as long as columns can be left out. */
export function workersTable(
  workers: readonly WorkerStats[],
  { terminal, columns, dispensable }: TableOptions,
): string {
  const room = terminal.interactive ? terminal.columns() : Number.POSITIVE_INFINITY;
  for (let dropped = 0; ; dropped++) {
    const shown = columns.filter((column) => !dispensable.slice(0, dropped).includes(column));
    const rows = workers.map((worker) => shown.map(({ cell }) => cell(worker, terminal)));
    const text = table([shown.map(({ head }) => terminal.paint('bold', head)), ...rows], {
      right: shown.flatMap(({ isText = false }, index) => (isText ? [] : [index])),
    });
    if (dropped === dispensable.length || height(text, room) === rows.length + 1) return text;
  }
}

function healthOf(worker: WorkerStats, { paint }: Terminal): string {
  const { health } = worker;
  return isSilent(worker) && health !== 'unresponsive'
    ? paint('red', 'silent')
    : paint(healthColours[health], health);
}
