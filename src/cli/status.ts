import { exitCodes } from '../errors.js';
import type { ControlEvent, WorkerEnding } from '../protocol/control-api.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { ClusterStats, DeathSummary, PoisonSummary, WorkerStats } from '../protocol/stats.js';
import {
  type Colour,
  count,
  height,
  mebibytes,
  moment,
  span,
  type Terminal,
  table,
  timeOfDay,
  verdictOf,
} from './output.js';
import { type ReloadTeller, reloadTeller } from './reload.js';
import type { CommandExit, Session } from './session.js';

export interface StatusFlags {
  readonly watch?: boolean;
  readonly json?: boolean;
}

/** ms between two looks */
const interval = 1000;

/** `rom-agent status`; with `--watch` until Ctrl-C. */
export async function statusCommand(
  session: Session,
  { watch = false, json = false }: StatusFlags,
): Promise<CommandExit> {
  const { client, terminal } = session;
  if (watch) return watchStatus(session, json);
  const stats = await client.status();
  if (json) terminal.printJson(stats, 'pretty');
  else terminal.print(overview(stats, terminal));
  return exitCodes.ok;
}

/** The service and its workers, for a person. */
export function overview(stats: ClusterStats, terminal: Terminal): string {
  const { workers } = stats;
  const service = table(serviceRows(stats, terminal));
  if (workers.length === 0) return service;
  const own = stats.kind === 'process' ? columns.filter(({ head }) => !ofRequests.includes(head)) : columns;
  return `${service}\n${workersTable(workers, { terminal, columns: own })}`;
}

async function watchStatus(
  { client, terminal, sleep, interrupted }: Session,
  json: boolean,
): Promise<CommandExit> {
  const ended = AbortSignal.any([interrupted(), terminal.readerGone]);
  const abort = new Promise<void>((resolve) => {
    ended.addEventListener('abort', () => resolve(), { once: true });
  });
  const show = json ? (stats: ClusterStats) => terminal.printJson(stats, 'line') : redraw(terminal);
  while (!ended.aborted) {
    const stats = await Promise.race([client.status(), abort]);
    if (stats === undefined || ended.aborted) break;
    show(stats);
    await Promise.race([sleep(interval), abort]);
  }
  return exitCodes.ok;
}

/** Over what was there on a terminal; elsewhere one block below the other. */
function redraw(terminal: Terminal): (stats: ClusterStats) => void {
  let last: string | null = null;
  return (stats) => {
    const text = overview(stats, terminal);
    if (last !== null && terminal.interactive) terminal.erase(height(last, terminal.columns()));
    terminal.print(last === null || terminal.interactive ? text : `\n${text}`);
    last = text;
  };
}

function serviceRows(stats: ClusterStats, terminal: Terminal): readonly (readonly string[])[] {
  const { status, kind, mode, generation, wanted, ready, restarts, requests, requestsPerSecond, inFlight } =
    stats;
  const { master, lastReload, spares, deaths, poison } = stats;
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
        `${spares.wanted === 0 ? '' : `${spares.ready} of ${spares.wanted} spare, `}${count(restarts, 'restart')}`,
    ],
    ...(kind === 'process'
      ? []
      : [['requests', `${requestsPerSecond}/s, ${known}${inFlight} in flight, ${requests} in total`]]),
    [
      'master',
      `pid ${master.pid}, up ${span(master.uptime * 1000)}, ${mebibytes(master.rss)}, ` +
        `rom-agent ${master.version}, Node ${master.node.replace(/^v/, '')}`,
    ],
  ];
  return [
    ...rows,
    ...(lastReload === null ? [] : [['last reload', reloadLine(lastReload, terminal)]]),
    ...under('silent', silent.map(silenceLine)),
    ...under('deaths', deaths.slice(0, shownDeaths).map(deathLine)),
    ...under('poison', poison.map(poisonLine)),
  ];
}

const shownDeaths = 3;

/** Several lines of one subject. */
function under(subject: string, lines: readonly string[]): readonly (readonly string[])[] {
  return lines.map((line, index) => [index === 0 ? subject : '', line]);
}

const deathWords = { boot: 'could not start', crash: 'crashed', hang: 'hung' } as const;

function deathLine({ worker, ago, kind, cause, lost }: DeathSummary): string {
  const who = worker === null ? 'a spare' : `worker ${worker}`;
  const losses = lost === 0 ? '' : `, ${count(lost, 'request')} lost`;
  return `${who}, ${span(ago * 1000)} ago, ${deathWords[kind]}: ${cause}${losses}`;
}

function poisonLine({ method, route, deaths, ago, blockedFor }: PoisonSummary): string {
  const block = blockedFor === 0 ? '' : `; answered with 503 for ${span(blockedFor * 1000)} more`;
  return `${method} ${route} was in flight at ${count(deaths, 'death')}, the last ${span(ago * 1000)} ago${block}`;
}

function reloadLine(record: ReloadRecord, { paint }: Terminal): string {
  const { serial, generation, by, at, took, reason } = record;
  const { text, colour } = verdictOf(record);
  const within = took === null ? '' : ` ${record.verdict === 'done' ? 'in' : 'after'} ${span(took)}`;
  const why = reason === null ? '' : `: ${reason}`;
  return `no. ${serial} to generation ${generation}, ${moment(at)}, by ${by}: ${paint(colour, text)}${within}${why}`;
}

const statusColours = { starting: 'yellow', serving: 'green', stopping: 'yellow' } as const;
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

/** Heartbeats come every second: from here on nobody knows what the worker does. */
const silentAfter = 1500;

function isSilent({ heartbeatAge }: WorkerStats): boolean {
  return heartbeatAge !== null && heartbeatAge > silentAfter;
}

function silenceLine({ id, heartbeatAge }: WorkerStats): string {
  const who = id === null ? 'a spare' : `worker ${id}`;
  const look = id === null ? '' : `; rom-agent stack ${id} shows what it is doing`;
  return `no heartbeat from ${who} for ${span(heartbeatAge ?? 0)}${look}`;
}

interface Column {
  readonly head: string;
  readonly cell: (worker: WorkerStats, terminal: Terminal) => string;
  readonly isText?: boolean;
}

/** What is as of the last heartbeat is not known of a worker that is silent. */
const seen = (cell: (worker: WorkerStats) => string) => (worker: WorkerStats) =>
  isSilent(worker) ? '?' : cell(worker);

const columns: readonly Column[] = [
  { head: 'WORKER', cell: ({ id }) => (id === null ? '-' : String(id)) },
  { head: 'PID', cell: ({ pid }) => (pid === null ? '-' : String(pid)) },
  { head: 'PHASE', cell: ({ phase }, { paint }) => paint(phaseColours[phase], phase), isText: true },
  { head: 'HEALTH', cell: healthOf, isText: true },
  { head: 'HEARTBEAT', cell: ({ heartbeatAge }) => (heartbeatAge === null ? '-' : span(heartbeatAge)) },
  { head: 'GEN', cell: ({ generation }) => String(generation) },
  { head: 'UP', cell: ({ uptime }) => span(uptime * 1000) },
  { head: 'REQ/S', cell: seen(({ requestsPerSecond }) => String(requestsPerSecond)) },
  { head: 'REQUESTS', cell: ({ requests }) => String(requests) },
  { head: 'IN-FLIGHT', cell: seen(({ inFlight }) => String(inFlight)) },
  { head: 'CONNS', cell: seen(({ connections }) => String(connections)) },
  { head: 'RSS', cell: ({ rss }) => mebibytes(rss) },
  { head: 'DELAY', cell: seen(({ eventLoopDelay }) => `${Math.round(eventLoopDelay)} ms`) },
  { head: 'UTIL', cell: seen(({ eventLoopUtilization }) => `${Math.round(eventLoopUtilization * 100)} %`) },
  { head: 'RESTARTS', cell: ({ restarts }) => String(restarts) },
];

/** What an app that is no server has nothing of. */
const ofRequests = ['REQ/S', 'REQUESTS', 'IN-FLIGHT', 'CONNS'];

/** What a narrow terminal does without, in this order. */
const dispensable = ['REQUESTS', 'CONNS', 'UTIL', 'RESTARTS', 'GEN', 'DELAY', 'UP', 'HEARTBEAT'];

function healthOf(worker: WorkerStats, { paint }: Terminal): string {
  const { health } = worker;
  return isSilent(worker) && health !== 'unresponsive'
    ? paint('red', 'silent')
    : paint(healthColours[health], health);
}

function workersTable(
  workers: readonly WorkerStats[],
  { terminal, columns }: { readonly terminal: Terminal; readonly columns: readonly Column[] },
): string {
  const room = terminal.interactive ? terminal.columns() : Number.POSITIVE_INFINITY;
  for (let dropped = 0; ; dropped++) {
    const shown = columns.filter(({ head }) => !dispensable.slice(0, dropped).includes(head));
    const rows = workers.map((worker) => shown.map(({ cell }) => cell(worker, terminal)));
    const text = table([shown.map(({ head }) => terminal.paint('bold', head)), ...rows], {
      right: shown.flatMap(({ isText = false }, index) => (isText ? [] : [index])),
    });
    if (dropped === dispensable.length || height(text, room) === rows.length + 1) return text;
  }
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
    case 'record':
      return `reload    ${teller.summary(event.record)}`;
  }
}

function workerLine(event: Extract<ControlEvent, { type: 'worker' }>): string {
  const { worker, pid, generation, ending, reason } = event;
  const who = worker === null ? 'a spare ' : `worker ${worker}`;
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
