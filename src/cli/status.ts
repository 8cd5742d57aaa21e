import type { ReloadRecord } from '../core/reload-record.js';
import type { ClusterStats, DeathSummary, PoisonSummary, WorkerStats } from '../core/stats.js';
import { exitCodes } from '../errors/exit-codes.js';
import { count, mebibytes, moment, span, verdictOf } from './human.js';
import type { CommandExit, Session } from './session.js';
import { height, table } from './table.js';
import type { Colour, Terminal } from './terminal.js';

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
  terminal.print(json ? `${JSON.stringify(stats, null, 2)}\n` : overview(stats, terminal));
  return exitCodes.ok;
}

/** The service and its workers, for a person. */
export function overview(stats: ClusterStats, terminal: Terminal): string {
  const { workers } = stats;
  const service = table(serviceRows(stats, terminal));
  if (workers.length === 0) return service;
  return `${service}\n${table([heads(terminal), ...workers.map((worker) => workerRow(worker, terminal))], {
    right: [0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12],
  })}`;
}

async function watchStatus(
  { client, terminal, sleep, interrupted }: Session,
  json: boolean,
): Promise<CommandExit> {
  const ended = AbortSignal.any([interrupted(), terminal.readerGone]);
  const abort = new Promise<void>((resolve) => {
    ended.addEventListener('abort', () => resolve(), { once: true });
  });
  const show = json
    ? (stats: ClusterStats) => terminal.print(`${JSON.stringify(stats)}\n`)
    : redraw(terminal);
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
    if (!terminal.interactive) terminal.print(last === null ? text : `\n${text}`);
    else terminal.print(`${last === null ? '' : erase(height(last, terminal.columns()))}${text}`);
    last = text;
  };
}

/** Cursor up, then everything below it cleared: CUU and ED of ECMA-48. */
function erase(lines: number): string {
  return `\x1b[${lines}A\r\x1b[J`;
}

function serviceRows(stats: ClusterStats, terminal: Terminal): readonly (readonly string[])[] {
  const { status, mode, generation, wanted, ready, restarts, requests, requestsPerSecond, inFlight } = stats;
  const { master, lastReload, spares, deaths, poison } = stats;
  const { paint } = terminal;
  const rows = [
    ['service', `${paint(statusColours[status], status)}, mode ${mode}, generation ${generation}`],
    [
      'workers',
      `${paint(ready < wanted ? 'yellow' : 'green', `${ready} of ${wanted} ready`)}, ` +
        `${spares.wanted === 0 ? '' : `${spares.ready} of ${spares.wanted} spare, `}${count(restarts, 'restart')}`,
    ],
    ['requests', `${requestsPerSecond}/s, ${inFlight} in flight, ${requests} in all`],
    [
      'master',
      `pid ${master.pid}, up ${span(master.uptime * 1000)}, ${mebibytes(master.rss)}, ` +
        `rom-agent ${master.version}, Node ${master.node.replace(/^v/, '')}`,
    ],
  ];
  return [
    ...rows,
    ...(lastReload === null ? [] : [['last reload', reloadLine(lastReload, terminal)]]),
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
  const who = worker === 0 ? 'a spare' : `worker ${worker}`;
  const losses = lost === 0 ? '' : `, ${count(lost, 'request')} lost`;
  return `${who}, ${span(ago * 1000)} ago, ${deathWords[kind]}: ${cause}${losses}`;
}

function poisonLine({ method, route, deaths, ago, blockedFor }: PoisonSummary): string {
  const block = blockedFor === 0 ? '' : `; answered with 503 for ${span(blockedFor * 1000)} more`;
  return `${method} ${route} was in flight at ${count(deaths, 'death')}, the last ${span(ago * 1000)} ago${block}`;
}

function reloadLine(record: ReloadRecord, { paint }: Terminal): string {
  const { generation, by, at, took, reason } = record;
  const { text, colour } = verdictOf(record);
  const within = took === null ? '' : ` ${record.verdict === 'done' ? 'in' : 'after'} ${span(took)}`;
  const why = reason === null ? '' : `: ${reason}`;
  return `generation ${generation}, ${moment(at)}, by ${by}: ${paint(colour, text)}${within}${why}`;
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
  fit: 'green',
  slow: 'yellow',
  sick: 'red',
  lost: 'red',
};

function heads({ paint }: Terminal): readonly string[] {
  const names = 'WORKER PID PHASE HEALTH GEN UP REQUESTS IN-FLIGHT CONNS RSS LAG UTIL RESTARTS';
  return names.split(' ').map((name) => paint('bold', name));
}

function workerRow(worker: WorkerStats, { paint }: Terminal): readonly string[] {
  return [
    worker.id === 0 ? '-' : String(worker.id),
    worker.pid === null ? '-' : String(worker.pid),
    paint(phaseColours[worker.phase], worker.phase),
    paint(healthColours[worker.health], worker.health),
    String(worker.generation),
    span(worker.uptime * 1000),
    String(worker.requests),
    String(worker.inFlight),
    String(worker.connections),
    mebibytes(worker.rss),
    `${Math.round(worker.eventLoopDelay)} ms`,
    `${Math.round(worker.eventLoopUtilization * 100)} %`,
    String(worker.restarts),
  ];
}
