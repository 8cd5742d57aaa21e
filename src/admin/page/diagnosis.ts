/** What is wrong with the service, in sentences, worst first; nothing here knows the DOM. */

import type { Growth } from '../../heap/growth.js';
import { leakInWords } from '../../protocol/leak.js';
import { costInWords } from '../../protocol/route-cost.js';
import type { ClusterStats, DeathSummary, StallSummary, WorkerStats } from '../../protocol/stats.js';
import type { DaemonState } from '../api.js';
import { ago, bytes, count, duration, inWords, ownFrame, percent, plural, wholeSeconds } from './words.js';

/** `critical`: requests fail or wait now; `serious`: they did a short while ago, or will; `warning`: look at it; `note`: only to know. */
export type Severity = 'critical' | 'serious' | 'warning' | 'note';

export type Remedy =
  | { readonly kind: 'stack' | 'profile' | 'heap-snapshot' | 'restart'; readonly worker: number }
  | { readonly kind: 'show'; readonly anchor: string; readonly label: string };

export interface Problem {
  /** The same for the same trouble, so that it keeps its place on the page. */
  readonly key: string;
  readonly severity: Severity;
  /** A sentence. */
  readonly title: string;
  /** The cause or the evidence, in words. */
  readonly detail: string | null;
  readonly remedies: readonly Remedy[];
}

/** What a hung process was found doing. */
export interface Doing {
  /** `spin (/srv/shop/server.js:12:5)`, or what it waits for; null: unknown. */
  readonly at: string | null;
  readonly state: string;
  readonly detail: string | null;
  /** `GET /report`, the oldest first. */
  readonly requests: readonly string[];
}

export interface Death extends DeathSummary {
  readonly atMs: number;
}

export interface Situation {
  readonly nowMs: number;
  /** Whether the page hears from the admin process; `first`: not yet. */
  readonly link: 'first' | 'live' | 'broken';
  readonly daemon: DaemonState;
  readonly stats: ClusterStats | null;
  /** ms; null: hung workers are not killed. */
  readonly hangTimeoutMs: number | null;
  /** Of each worker; null: unknown. */
  readonly heapLimitBytes: number | null;
  /** By PID. */
  readonly doing: ReadonlyMap<number, Doing>;
  readonly deaths: readonly Death[];
  readonly growing: readonly Growth[];
  readonly stalls: readonly StallSummary[];
  /** Over the last seconds; null: unknown. */
  readonly errorShare: number | null;
  /** Mean event-loop utilisation of the last seconds, 0 to 1. */
  readonly busy: number;
}

/** What is told of a death, a stall or a reload that is over: for so long. */
const recently = 10 * 60_000;
/** A heartbeat comes each second; this is late. */
const overdueMs = 2_500;
const manyErrors = 0.05;
const veryBusy = 0.92;

const order: readonly Severity[] = ['critical', 'serious', 'warning', 'note'];

export function diagnose(situation: Situation): readonly Problem[] {
  const found = [
    ...ofConnection(situation),
    ...ofService(situation),
    ...hung(situation),
    ...deaths(situation),
    ...poison(situation),
    ...reload(situation),
    ...leaks(situation),
    ...costly(situation),
    ...growth(situation),
    ...slow(situation),
    ...stalls(situation),
    ...load(situation),
  ];
  return found.sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

/** One sentence on the whole. */
export function headline(situation: Situation, problems: readonly Problem[]): string {
  const [worst] = problems;
  if (worst !== undefined && worst.severity !== 'note') return worst.title;
  const { stats, link } = situation;
  if (stats === null)
    return link === 'first' ? 'Looking at the service…' : 'Nothing is known of the service yet.';
  const { ready, wanted, requestsPerSecond } = stats;
  const workers = `${ready} of ${plural(wanted, 'worker')} ${wanted === 1 ? 'is' : 'are'} ready`;
  const requests =
    stats.kind === 'process'
      ? ''
      : requestsPerSecond > 0
        ? ` and ${ready === 1 ? 'serves' : 'serve'} ${count(requestsPerSecond)} requests per second`
        : '; no requests at the moment';
  return `All is well: ${workers}${requests}.`;
}

/** A worker that does not answer, and for how long, ms. */
export function silentFor(worker: WorkerStats): number | null {
  const { heartbeatAgeMs, phase, health } = worker;
  if (heartbeatAgeMs === null || phase === 'starting') return null;
  return heartbeatAgeMs >= overdueMs || health === 'unresponsive' ? heartbeatAgeMs : null;
}

/** The worker as the subject of a sentence. */
export function subject(id: number | null): string {
  return id === null ? 'A spare' : `Worker ${id}`;
}

function ofConnection({ link, daemon, nowMs }: Situation): readonly Problem[] {
  if (link === 'broken') {
    return [
      {
        key: 'link',
        severity: 'critical',
        title: 'This page has lost the admin process: what it shows is old.',
        detail: 'It tries again by itself. The service may be running all the same: ask rom-agent status.',
        remedies: [],
      },
    ];
  }
  if (daemon.state === 'up') return [];
  return [
    {
      key: 'daemon',
      severity: 'critical',
      title: `The daemon has not answered for ${wholeSeconds(Math.max(0, nowMs - daemon.sinceMs) / 1_000)}: it is restarting, or it is gone.`,
      detail: daemon.reason,
      remedies: [],
    },
  ];
}

function ofService({ stats, daemon }: Situation): readonly Problem[] {
  if (stats === null || daemon.state === 'lost') return [];
  const { status, ready, wanted } = stats;
  if (status === 'stopping') {
    return [note('stopping', 'warning', 'The service is stopping: workers answer what they have, and exit.')];
  }
  if (status === 'starting') {
    return [
      note('starting', 'note', `The service is starting: ${ready} of ${plural(wanted, 'worker')} ready.`),
    ];
  }
  if (ready === 0 && wanted > 0) {
    return [note('none', 'critical', 'No worker is ready: requests wait until one is.')];
  }
  if (ready < wanted) {
    return [
      note('few', 'warning', `${ready} of ${plural(wanted, 'worker')} ${ready === 1 ? 'is' : 'are'} ready.`),
    ];
  }
  return [];
}

function note(key: string, severity: Severity, title: string): Problem {
  return { key, severity, title, detail: null, remedies: [] };
}

function hung({ stats, hangTimeoutMs, doing, daemon }: Situation): readonly Problem[] {
  if (stats === null || daemon.state === 'lost') return [];
  return stats.workers.flatMap((worker) => {
    const silent = silentFor(worker);
    if (silent === null || worker.phase === 'dying') return [];
    const { id, pid } = worker;
    const found = pid === null ? undefined : doing.get(pid);
    const left = hangTimeoutMs === null ? null : hangTimeoutMs - silent;
    const then =
      left === null
        ? 'it is not killed, since hang_timeout is off'
        : left > 0
          ? `it will be killed in ${wholeSeconds(Math.ceil(left / 1_000))}`
          : 'it is being killed';
    return [
      {
        key: `hung ${pid}`,
        severity: 'critical' as const,
        title: `${subject(id)} has been hung for ${wholeSeconds(silent / 1_000)}${doingWords(found)}; ${then}.`,
        detail: requestsInWords(found?.requests ?? [], 'It is busy with'),
        remedies:
          id === null
            ? []
            : [
                { kind: 'stack' as const, worker: id },
                { kind: 'restart' as const, worker: id },
              ],
      },
    ];
  });
}

function doingWords(doing: Doing | undefined): string {
  if (doing === undefined) return '';
  const { at, state, detail } = doing;
  if (at !== null) return ` in ${inWords(at)}`;
  if (state === 'stopped') return ', stopped by a signal or a debugger';
  if (state === 'starved') return ': it gets no CPU';
  if (state === 'blocked') return ` in a system call${detail === null ? '' : ` (${detail})`}`;
  return '';
}

function requestsInWords(requests: readonly string[], before: string): string | null {
  if (requests.length === 0) return null;
  const rest = requests.length - 3;
  return `${before} ${requests.slice(0, 3).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}.`;
}

/** What deaths of the same cause have in common. */
function fingerprint({ kind, cause, stack }: Death): string {
  return `${kind} ${ownFrame(stack) ?? cause.replaceAll(/\d+/g, '#')}`;
}

function deaths({ deaths, nowMs }: Situation): readonly Problem[] {
  const groups = new Map<string, Death[]>();
  for (const death of deaths) {
    if (nowMs - death.atMs > recently) continue;
    const key = fingerprint(death);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [death]);
    else group.push(death);
  }
  return [...groups].map(([key, group]) => {
    const last = group.reduce((a, b) => (b.atMs > a.atMs ? b : a));
    const { worker, kind, cause, stack, requests, lost, atMs } = last;
    const verb = kind === 'boot' ? 'did not start' : kind === 'hang' ? 'was killed: it was hung' : 'crashed';
    const often = group.length === 1 ? '' : `, ${plural(group.length, 'death')} like this in ten minutes`;
    const at = ownFrame(stack);
    const place = at === null || mentions(cause, at) ? '' : ` in ${inWords(at)}`;
    const during = requests.map(({ method, path }) => `${method} ${path}`);
    return {
      key: `death ${key}`,
      severity: nowMs - atMs < 60_000 || group.length > 2 ? 'serious' : 'warning',
      title: `${subject(worker)} ${verb} ${ago(nowMs - atMs)}${often}: ${oneLine(cause)}${place}.`,
      detail:
        [
          requestsInWords(during, 'It was busy with'),
          lost === 0 ? 'No request was lost.' : `${plural(lost, 'request')} got no answer.`,
        ]
          .filter((part) => part !== null)
          .join(' ') || null,
      remedies: [{ kind: 'show', anchor: 'deaths', label: 'Evidence' }],
    } satisfies Problem;
  });
}

/** Whether a cause already says where. */
function mentions(cause: string, frame: string): boolean {
  const file = /([^/\s(]+):\d+(?::\d+)?\)?$/.exec(frame)?.[1];
  return file !== undefined && cause.includes(file);
}

function oneLine(text: string): string {
  const [line = ''] = text.split('\n');
  return (line.length > 220 ? `${line.slice(0, 219)}…` : line).replace(/\.$/, '');
}

function poison({ stats }: Situation): readonly Problem[] {
  return (stats?.poison ?? [])
    .slice(0, 3)
    .map(({ method, route, deaths, blockedForSeconds, agoSeconds }) => ({
      key: `poison ${method} ${route}`,
      severity: 'serious',
      title: `${method} ${route} was in flight when ${plural(deaths, 'worker')} died.`,
      detail:
        blockedForSeconds > 0
          ? `${stats?.cell === undefined ? 'It is answered with 503' : 'The cell serves it, apart from the other workers,'} for another ${wholeSeconds(blockedForSeconds)}.`
          : `The last one died ${ago(agoSeconds * 1_000)}. [poison] block answers it with 503, or with [poison] cell has it die alone, until it is mended.`,
      remedies: [{ kind: 'show', anchor: 'deaths', label: 'Evidence' }],
    }));
}

function leaks({ stats }: Situation): readonly Problem[] {
  return (stats?.leaks ?? []).map((leak) => ({
    key: `leak ${leak.kind} ${leak.isOutside === true}`,
    severity: 'warning',
    title: `${leakInWords(leak)}.`,
    detail:
      leak.isOutside === true
        ? 'It is memory of native code, such as addons and crypto: no heap snapshot shows it.'
        : 'A heap snapshot of a worker that has grown says what keeps it.',
    remedies: [{ kind: 'show', anchor: 'workers', label: 'Workers' }],
  }));
}

/** One that blocks the event loop: others wait for it. */
function costly({ stats }: Situation): readonly Problem[] {
  return (stats?.costs?.routes ?? [])
    .filter(({ heavy, blocks }) => heavy !== null && blocks)
    .map((cost) => ({
      key: `cost ${cost.kind}`,
      severity: 'note',
      title: `${costInWords(cost)}.`,
      detail: 'All other requests of the same worker wait meanwhile. A profile shows the functions.',
      remedies: [{ kind: 'show', anchor: 'routes', label: 'Routes' }],
    }));
}

function reload({ stats, nowMs }: Situation): readonly Problem[] {
  const last = stats?.lastReload ?? null;
  if (last === null) return [];
  const { generation, verdict, reason, atMs, tookMs } = last;
  const remedies: readonly Remedy[] = [{ kind: 'show', anchor: 'reloads', label: 'Steps' }];
  if (verdict === null) {
    return [
      {
        key: 'reload',
        severity: 'note',
        title: `A reload to generation ${generation} has been under way for ${wholeSeconds(Math.max(0, nowMs - atMs) / 1_000)}.`,
        detail: null,
        remedies,
      },
    ];
  }
  const over = nowMs - atMs - (tookMs ?? 0);
  if (verdict !== 'rolled-back' || over > recently) return [];
  return [
    {
      key: 'reload',
      severity: 'warning',
      title: `The reload to generation ${generation} was rolled back ${ago(over)}; generation ${stats?.generation ?? last.from} serves.`,
      detail: reason,
      remedies,
    },
  ];
}

function growth({ growing, heapLimitBytes }: Situation): readonly Problem[] {
  const [first] = growing;
  if (first === undefined) return [];
  const { worker, fromBytes, toBytes, overMs, bytesPerSecond, pid } = first;
  const others = growing.length - 1;
  const left = heapLimitBytes === null ? null : (heapLimitBytes - toBytes) / bytesPerSecond;
  const limit =
    heapLimitBytes === null || left === null || left > 86_400
      ? ''
      : `; at this rate it reaches its limit of ${bytes(heapLimitBytes)} in ${wholeSeconds(Math.max(0, left))}`;
  return [
    {
      key: `growth ${pid}`,
      severity: left !== null && left < 15 * 60 ? 'serious' : 'warning',
      title: `${subject(worker)} looks like it leaks: its heap grew from ${bytes(fromBytes)} to ${bytes(toBytes)} in ${wholeSeconds(overMs / 1_000)} and does not fall back${limit}.`,
      detail: `${others > 0 ? `The same goes for ${plural(others, 'other worker')}. ` : ''}A heap snapshot says what keeps the memory.`,
      remedies: worker === null ? [] : [{ kind: 'heap-snapshot', worker }],
    },
  ];
}

function slow({ stats, daemon }: Situation): readonly Problem[] {
  if (stats === null || daemon.state === 'lost') return [];
  return stats.workers.flatMap((worker): readonly Problem[] => {
    const { id, pid, health, eventLoopDelayMs, phase } = worker;
    if (silentFor(worker) !== null || phase !== 'ready') return [];
    if (health !== 'degraded' && health !== 'unhealthy') return [];
    const unhealthy = health === 'unhealthy';
    return [
      {
        key: `slow ${pid}`,
        severity: unhealthy ? 'serious' : 'warning',
        title: `${subject(id)} is ${health}: its event loop is ${duration(eventLoopDelayMs)} late${unhealthy ? '; it will be replaced, a new one first' : ''}.`,
        detail: null,
        remedies: id === null ? [] : [{ kind: 'profile', worker: id }],
      },
    ];
  });
}

function stalls({ stalls }: Situation): readonly Problem[] {
  const groups = new Map<string, StallSummary[]>();
  for (const stall of stalls) {
    if (stall.agoSeconds * 1_000 > recently / 2) continue;
    const key = `${stall.cause} ${stall.function} ${stall.file}:${stall.line}`;
    groups.set(key, [...(groups.get(key) ?? []), stall]);
  }
  return [...groups].slice(0, 3).map(([key, group]) => {
    const last = group.reduce((a, b) => (b.agoSeconds < a.agoSeconds ? b : a));
    const { worker, tookMs, requests, agoSeconds } = last;
    const times = group.reduce((sum, { more }) => sum + 1 + more, 0);
    const often = times > 1 ? `; ${plural(times, 'time')} in five minutes` : '';
    return {
      key: `stall ${key}`,
      severity: 'warning',
      title: `${subject(worker)}'s event loop was blocked for ${duration(tookMs)}${stallWords(last)}, ${ago(agoSeconds * 1_000)}${often}.`,
      detail: requestsInWords(
        requests.map(({ method, path }) => `${method} ${path}`),
        'In flight meanwhile:',
      ),
      remedies: worker === null ? [] : [{ kind: 'profile', worker }],
    } satisfies Problem;
  });
}

function stallWords({ cause, function: name, file, line, exact }: StallSummary): string {
  if (cause === 'gc') return ' by garbage collection';
  if (cause === 'starved') return ': the process got no CPU, or was stopped';
  if (file === null) return name === null ? '' : ` in ${name}`;
  const frame = `${name ?? ''} (${file}${line === null ? '' : `:${line}`})`;
  return ` in ${inWords(frame)}${exact ? '' : ' or what it had called'}`;
}

function load({ errorShare, busy, stats, daemon }: Situation): readonly Problem[] {
  if (stats === null || daemon.state === 'lost') return [];
  const found: Problem[] = [];
  if (errorShare !== null && errorShare >= manyErrors) {
    found.push({
      key: 'errors',
      severity: 'serious',
      title: `${percent(errorShare)} of the answers are errors of the app (5xx).`,
      detail: null,
      remedies: [{ kind: 'show', anchor: 'log', label: 'Log' }],
    });
  }
  const busiest = stats.workers.find(({ phase }) => phase === 'ready')?.id ?? null;
  if (busy >= veryBusy && stats.ready > 0 && !stats.workers.some((worker) => silentFor(worker) !== null)) {
    found.push({
      key: 'busy',
      severity: 'warning',
      title: `The workers are busy ${percent(busy)} of the time: requests wait for them.`,
      detail: 'A profile says with what. More workers help only where there are more CPUs.',
      remedies: busiest === null ? [] : [{ kind: 'profile', worker: busiest }],
    });
  }
  return found;
}
