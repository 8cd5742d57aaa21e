import type { ControlClient } from '../../control/client.js';
import { exitCodes, RomAgentError } from '../../errors.js';
import { bytes, percent } from '../../heap/words.js';
import type { ControlEvent, WorkerEnding } from '../../protocol/control-api.js';
import { leakInWords } from '../../protocol/leak.js';
import type { ReloadRecord } from '../../protocol/reload-record.js';
import { costInWords, type RouteCost } from '../../protocol/route-cost.js';
import { stallInWords } from '../../protocol/stall.js';
import type {
  CellStats,
  ClusterStats,
  DeathSummary,
  PoisonSummary,
  WorkerStats,
} from '../../protocol/stats.js';
import { count, workerName } from '../../protocol/words.js';
import { type ReloadTeller, reloadTeller } from '../act/reload.js';
import { notRight } from '../arguments.js';
import { mebibytes, moment, span, type Terminal, table, timeOfDay, verdictOf } from '../output.js';
import type { CommandExit, Session } from '../session.js';
import { growthLines, redraw, sparkline, type Trends, watch } from './live.js';
import { type Column, columns, isSilent, ofRequests, workersTable } from './worker-table.js';

export interface StatusFlags {
  readonly watch?: boolean;
  readonly json?: boolean;
  readonly fleet?: boolean;
  readonly routes?: boolean;
}

/** `rom-agent status`; with `--watch` until Ctrl-C. */
export async function statusCommand(
  session: Session,
  { watch = false, json = false, fleet = false, routes = false }: StatusFlags,
): Promise<CommandExit> {
  if (fleet) {
    if (watch) throw notRight('status: --watch', 'true', 'no --watch with --fleet');
    return (await import('../act/fleet.js')).fleetStatus(session, json);
  }
  const { client, terminal } = session;
  if (watch && routes) throw notRight('status: --watch', 'true', 'no --watch with --routes');
  if (watch) return watchStatus(session, json);
  const stats = await client.status();
  if (json) terminal.printJson(routes ? (stats.costs ?? null) : stats, 'pretty');
  else if (routes) terminal.print((await import('./route-table.js')).routeTable(stats, terminal));
  else terminal.print(overview(stats, terminal, null, await fullHeaps(session, stats)));
  return exitCodes.ok;
}

/** The worker whose heap is fullest, where that is more than half. One look does not tell a cache from a leak. */
async function fullHeaps({ client }: Session, { workers }: ClusterStats): Promise<readonly string[]> {
  const [first, ...others] = [...workers].sort((a, b) => b.heapUsedBytes - a.heapUsedBytes);
  if (first === undefined || first.id === null) return [];
  const limit = await heapLimit(client);
  if (limit === null) return [];
  const isFull = ({ heapUsedBytes }: WorkerStats): boolean => heapUsedBytes > limit * muchHeap;
  if (!isFull(first)) return [];
  const more = others.filter(isFull).length;
  const who = `worker ${first.id}${more === 0 ? '' : ` (and ${count(more, 'other')})`}`;
  return [
    `${who} has filled ${percent(first.heapUsedBytes / limit)} of its heap of ${bytes(limit)}; ` +
      `rom-agent top shows whether it grows, rom-agent heap-snapshot ${first.id} what keeps it`,
  ];
}

const muchHeap = 0.5;

/** Of each worker, bytes; null where it is not known. */
async function heapLimit(client: ControlClient): Promise<number | null> {
  try {
    const limit = (await client.config()).max_old_space_size?.value;
    return typeof limit === 'number' ? limit * 1024 * 1024 : null;
  } catch (error) {
    if (error instanceof RomAgentError) return null;
    throw error;
  }
}

/** The service and its workers, for a person; with what was seen before, where it is watched. */
export function overview(
  stats: ClusterStats,
  terminal: Terminal,
  trends: Trends | null = null,
  memory: readonly string[] = trends === null ? [] : growthLines(trends),
): string {
  const { workers } = stats;
  const service = table([
    ...serviceRows(stats, terminal, trends),
    ...under(
      'memory',
      memory.map((line) => terminal.paint('yellow', line)),
    ),
  ]);
  if (workers.length === 0) return service;
  const trend = trends === null ? [] : [trendColumn(stats, trends)];
  const shown = [...statusColumns, ...trend].filter(
    (column) => stats.kind !== 'process' || !ofRequests.includes(column),
  );
  return `${service}\n${workersTable(workers, { terminal, columns: shown, dispensable: [...trend, ...dispensable] })}`;
}

async function watchStatus(session: Session, json: boolean): Promise<CommandExit> {
  const { terminal } = session;
  const show = redraw(terminal);
  await watch(session, (stats, trends, note) => {
    if (!json) show(`${overview(stats, terminal, trends)}${note === null ? '' : `\n${note}\n`}`);
    else if (note === null) terminal.printJson(stats, 'line');
  });
  return exitCodes.ok;
}

/** What the load of each worker was, busy as its event loop was. */
function trendColumn({ kind }: ClusterStats, trends: Trends): Column {
  return {
    head: kind === 'process' ? 'UTIL, 20 S' : 'REQ/S, 20 S',
    cell: (worker, { unicode }) => {
      const { requestsPerSecond, utilization } = trends.of(worker);
      const [values, top] =
        kind === 'process' ? [utilization, 1] : [requestsPerSecond, Math.max(...requestsPerSecond, 1)];
      return sparkline(values, { width: 20, top, unicode });
    },
    isText: true,
  };
}

function serviceRows(
  stats: ClusterStats,
  terminal: Terminal,
  trends: Trends | null,
): readonly (readonly string[])[] {
  const { status, kind, mode, generation, wanted, ready, restarts, requests, requestsPerSecond, inFlight } =
    stats;
  const { master, lastReload, spares, deaths, leaks, poison } = stats;
  const { paint } = terminal;
  const silent = stats.workers.filter(isSilent);
  const word = kind === 'process' && status === 'serving' ? 'running' : status;
  const known = silent.length === 0 ? '' : 'at least ';
  const rows = [
    [
      'service',
      `${paint(statusColours[status], word)}, ${kind === 'process' ? 'kind process, ' : ''}mode ${mode}, generation ${generation}`,
    ],
    [
      'workers',
      `${paint(ready < wanted ? 'yellow' : 'green', `${ready} of ${wanted} ready`)}, ` +
        `${spares.wanted === 0 ? '' : `${spares.ready} of ${spares.wanted} spare, `}${count(restarts, 'restart')}${rangeIn(stats)}`,
    ],
    ...scaledRow(stats),
    ...(kind === 'process'
      ? []
      : [['requests', `${requestsPerSecond}/s, ${known}${inFlight} in flight, ${requests} in total`]]),
    ...(kind === 'process' || trends === null ? [] : [['', lastMinute(trends, terminal)]]),
    [
      'master',
      `pid ${master.pid}, up ${span(master.uptimeSeconds * 1000)}, ${mebibytes(master.rssBytes)}, ` +
        `rom-agent ${master.version}, Node ${master.node.replace(/^v/, '')}`,
    ],
  ];
  return [
    ...rows,
    ...(lastReload === null ? [] : [['last reload', reloadLine(lastReload, terminal)]]),
    ...under('silent', silent.map(silenceLine)),
    ...under('deaths', [...deaths.slice(0, shownDeaths).map(deathLine), ...whereToLook(deaths)]),
    ...under('leaks', leaks.map(leakInWords)),
    ...under('cost', heaviest(stats).map(costInWords)),
    ...under(
      'poison',
      poison.map((each) => poisonLine(each, stats.cell)),
    ),
    ...under('cell', stats.cell === undefined ? [] : [cellLine(stats.cell)]),
  ];
}

function rangeIn({ autoscale }: ClusterStats): string {
  if (autoscale === undefined) return '';
  const { min, max, held } = autoscale;
  return held
    ? `, held by an operator (rom-agent scale auto: ${min} to ${max} by the load)`
    : `, ${min} to ${max} by the load`;
}

function scaledRow({ autoscale }: ClusterStats): readonly (readonly string[])[] {
  if (autoscale === undefined || autoscale.last === null) return [];
  const { agoSeconds, from, to, why } = autoscale.last;
  return [['last scaled', `${span(agoSeconds * 1000)} ago from ${from} to ${to}: ${why}`]];
}

const shownDeaths = 3;

function lastMinute({ requestsPerSecond }: Trends, { unicode }: Terminal): string {
  const top = Math.max(...requestsPerSecond, 1);
  return `${sparkline(requestsPerSecond, { width: requestsPerSecond.length, top, unicode })} up to ${top}/s`;
}

const statusColumns: readonly Column[] = Object.values(columns);

/** What a narrow terminal does without, in this order. */
const dispensable: readonly Column[] = [
  columns.requests,
  columns.connections,
  columns.utilization,
  columns.restarts,
  columns.generation,
  columns.delay,
  columns.uptime,
  columns.heartbeat,
];

/** One line says enough: `--routes` has the others. */
function heaviest({ costs }: ClusterStats): readonly RouteCost[] {
  return (costs?.routes ?? []).filter(({ heavy }) => heavy !== null).slice(0, 1);
}

/** Several lines of one subject. */
function under(subject: string, lines: readonly string[]): readonly (readonly string[])[] {
  return lines.map((line, index) => [index === 0 ? subject : '', line]);
}

const deathWords = { boot: 'could not start', crash: 'crashed', hang: 'hung' } as const;

export function deathLine({ worker, agoSeconds, kind, cause, lost }: DeathSummary): string {
  const who = workerName(worker);
  const losses = lost === 0 ? '' : `, ${count(lost, 'request')} lost`;
  return `${who}, ${span(agoSeconds * 1000)} ago, ${deathWords[kind]}: ${cause}${losses}`;
}

/** What says more, where there is more. */
function whereToLook(deaths: readonly DeathSummary[]): readonly string[] {
  if (!deaths.slice(0, shownDeaths).some(({ stack }) => stack !== null)) return [];
  return ['rom-agent why deaths has the requests in flight, rom-agent logs --level error the stacks'];
}

function cellLine({ status, pid, requests, inFlight, deaths, rssBytes }: CellStats): string {
  const memory = rssBytes === null ? '' : `, ${mebibytes(rssBytes)}`;
  const serves =
    status === 'ready' ? `, pid ${pid}${memory}, ${inFlight} in flight, ${requests} in total` : '';
  return `${cellStatus[status]}${serves}; it died ${deaths === 1 ? 'once' : `${deaths} times`}`;
}

const cellStatus: Readonly<Record<CellStats['status'], string>> = {
  ready: 'ready',
  starting: 'starting',
  waiting: 'waits for its next start',
  ending: 'ending',
  none: 'not needed',
};

function poisonLine(
  { method, route, deaths, agoSeconds, blockedForSeconds }: PoisonSummary,
  cell: CellStats | undefined,
): string {
  const block =
    blockedForSeconds === 0
      ? ''
      : `; ${cell === undefined ? 'answered with 503' : 'in the cell'} for ${span(blockedForSeconds * 1000)} more`;
  return `${method} ${route} was in flight at ${count(deaths, 'death')}, the last ${span(agoSeconds * 1000)} ago${block}`;
}

function reloadLine(record: ReloadRecord, { paint }: Terminal): string {
  const { serial, generation, by, atMs: at, tookMs, reason } = record;
  const { text, colour } = verdictOf(record);
  const within = tookMs === null ? '' : ` ${record.verdict === 'done' ? 'in' : 'after'} ${span(tookMs)}`;
  const why = reason === null ? '' : `: ${reason}`;
  return `no. ${serial} to generation ${generation}, ${moment(at)}, by ${by}: ${paint(colour, text)}${within}${why}`;
}

const statusColours = { starting: 'yellow', serving: 'green', stopping: 'yellow' } as const;
function silenceLine({ id, heartbeatAgeMs }: WorkerStats): string {
  const who = workerName(id);
  const look = id === null ? '' : `; rom-agent stack ${id} shows what it is doing`;
  return `no heartbeat from ${who} for ${span(heartbeatAgeMs ?? 0)}${look}`;
}

/** `rom-agent events`: what happens in the daemon, until Ctrl-C or until it stops. */
export async function eventsCommand(
  { client, terminal, clock, interrupted }: Session,
  { json = false }: { readonly json?: boolean },
): Promise<CommandExit> {
  const ended = AbortSignal.any([interrupted(), terminal.readerGone]);
  const teller = reloadTeller(terminal);
  await client.events((event) => {
    if (json) return terminal.printJson(event, 'line');
    const line = describe(event, teller);
    if (line !== null) terminal.print(`${timeOfDay(clock())}  ${line}\n`);
  }, ended);
  if (!ended.aborted) terminal.warn('the daemon closed the event stream, as it does when it stops');
  return exitCodes.ok;
}

/** null where another event says it. */
function describe(event: ControlEvent, teller: ReloadTeller): string | null {
  switch (event.type) {
    case 'service':
      return `service   ${event.status}, ${event.wanted} wanted`;
    case 'worker':
      // The same again, with its PID, is on its way.
      return event.phase === 'starting' && event.pid === null ? null : workerLine(event);
    case 'step': {
      const line = teller.step(event.step);
      return line === null ? null : `reload    ${line.trimStart()}`;
    }
    case 'stall':
      return `${workerName(event.worker).padEnd(8)}  ${stallInWords(event)}`;
    case 'record':
      return `reload    ${teller.summary(event.record)}`;
  }
}

function workerLine(event: Extract<ControlEvent, { type: 'worker' }>): string {
  const { worker, pid, generation, ending, reason } = event;
  const who = workerName(worker).padEnd(8);
  const what = ending === null ? event.phase : endings[ending.kind];
  const process = `${pid === null ? '' : `pid ${pid}, `}generation ${generation}`;
  const more = ending === null ? (reason ?? '') : endingOf(ending);
  return `${who}  ${what.padEnd(8)}  ${process}${more === '' ? '' : `: ${more}`}`;
}

/** What stands in the place of "gone". */
const endings: Readonly<Record<WorkerEnding['kind'], string>> = {
  drained: 'drained',
  killed: 'killed',
  boot: 'failed',
  crash: 'crashed',
  hang: 'hung',
};

function endingOf({ cause, code, signal, lost }: WorkerEnding): string {
  const exit = signal ?? (code === null || code === 0 ? null : `code ${code}`);
  const parts = [cause, exit, `${count(lost, 'request')} lost`];
  return parts.filter((part) => part !== null).join(', ');
}
