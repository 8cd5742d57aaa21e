import type { CellPlace } from './cell.js';
import type { Failure } from './death-record.js';
import type { PublicFleet } from './fleet.js';
import type { Heartbeat } from './heartbeat.js';
import type { Collection } from './leak.js';
import type { MetricsSnapshot, WorkerMetrics } from './metrics.js';
import type { MirrorMasterMessage, MirrorWorkerMessage } from './mirror.js';
import type { Blocked, RequestNote } from './requests.js';
import type { Work } from './route-cost.js';
import type { Stall } from './stall.js';
import type { PublicStats } from './stats.js';

/** Names one worker process for ever; never used twice in a master's life. */
export type WorkerKey = number;

/** What a worker says to the master. */
export type WorkerMessage =
  /** It can be talked to: what node:cluster delivers before anybody listens for it is lost. */
  | { readonly type: 'hello' }
  /** `onTarget`: also where it is configured to; that address comes first. */
  | { readonly type: 'ready'; readonly urls: readonly string[]; readonly onTarget: boolean }
  /** It has loaded the app, and another process has the port: it waits, at most for `listen_wait`. */
  | { readonly type: 'waits'; readonly port: number }
  /** It was ready, and listens on these by now. */
  | { readonly type: 'listens'; readonly urls: readonly string[]; readonly onTarget: boolean }
  /** `drains`: it is well, and of no use; it waits to be told to drain. */
  | { readonly type: 'failed'; readonly failure: Failure; readonly drains?: boolean }
  | { readonly type: 'heartbeat'; readonly heartbeat: Heartbeat }
  | { readonly type: 'cut'; readonly requests: number; readonly connections: number }
  /** Its listeners are closed; what it still has to answer, and how many connections it ever took. */
  | { readonly type: 'closed'; readonly inFlight: number; readonly accepted: number }
  /** What came of `probe`: `failure` is null where it was answered; ms. */
  | { readonly type: 'probed'; readonly failure: string | null; readonly tookMs: number }
  | MirrorWorkerMessage
  /** Its connections are gone; what is left is the app's own ending. */
  | { readonly type: 'drained' }
  /** A spare: it would listen now, and waits for `promote`. */
  | { readonly type: 'spare' }
  /** At its end: what it has in flight. */
  | { readonly type: 'current'; readonly inFlight: number; readonly requests: readonly RequestNote[] }
  /** It has answered a request of its own: see `prove`. */
  | { readonly type: 'proved' }
  /** Its event loop was blocked, and turns again. */
  | { readonly type: 'stall'; readonly stall: Stall }
  /** V8 has collected its whole heap. */
  | ({ readonly type: 'collected' } & Collection)
  | ({ readonly type: 'worked' } & Work)
  /** What came of `evidence`: a file, or why there is none. */
  | {
      readonly type: 'evidence';
      readonly id: number;
      readonly path: string;
      readonly bytes: number;
      readonly failure: string | null;
    }
  /** Comes with a connection, for another worker: see HandedOn. `handed` answers it, by the number `id`. */
  | ({
      readonly type: 'hand-on';
      readonly id: number;
      readonly to: WorkerKey | null;
      readonly slot: number | null;
    } & HandedOn)
  /** What has become of a connection: see `take`. */
  | { readonly type: 'taken'; readonly id: number; readonly outcome: Outcome }
  | { readonly type: 'stats-request'; readonly id: number }
  /** Asks for the hosts of the fleet: see `fleet`. */
  | { readonly type: 'fleet-request'; readonly id: number }
  /** The app has found nobody at the backplane's socket. */
  | { readonly type: 'want-backplane' }
  /** Asks for the metrics of the whole service: see `metrics-snapshot`. */
  | { readonly type: 'metrics-request'; readonly id: number }
  /** Answers `metrics`; with an `id` of 0 it is the worker's last word. */
  | { readonly type: 'metrics'; readonly id: number; readonly metrics: WorkerMetrics };

/**
 * `read`: the worker reads from it from now on. `lost`: the message came without the connection, as the worker had no
 * file descriptor left. `late`: it came after its time, and was closed.
 */
export type Outcome = 'read' | 'lost' | 'late';

/** A connection that goes from worker to worker, as a handle beside the message. */
export interface HandedOn {
  /** Where its server listens, the same in every worker. */
  readonly server: string;
  /** How often it was handed on without being read from. */
  readonly hops: number;
  /** What has been read from it already, in base64, perhaps nothing; null: it was kept, and is between two requests. */
  readonly head: string | null;
  /** How long the head of its next request may still take, ms; null: for ever, or it is here. */
  readonly silence: number | null;
}

export interface ReadyWorker {
  readonly key: WorkerKey;
  readonly slot: number;
}

export type EvidenceMessage = Extract<WorkerMessage, { type: 'evidence' }>;
export type ListensMessage = Extract<WorkerMessage, { type: 'ready' | 'listens' }>;
export type HandOnMessage = Extract<WorkerMessage, { type: 'hand-on' | 'taken' }>;

/** What the master says to a worker. */
export type MasterMessage =
  /** `patience`: ms in which connections may go on before that; another `drain` ends it. */
  | { readonly type: 'drain'; readonly timeout: number; readonly last: boolean; readonly patience?: number }
  | { readonly type: 'release' }
  /** Answers `drained`: all that the worker has sent until then is read, and so no connection is handed to it any more. */
  | { readonly type: 'dismissed' }
  /** The service will stop: `/readyz` answers 503 from now on, and all else is served. */
  | { readonly type: 'lame-duck' }
  /** Hand so many kept connections on to another worker. */
  | { readonly type: 'even-out'; readonly to: WorkerKey; readonly count: number }
  /**
   * Comes with a connection that `from` has handed on; `taken` answers it. After `until`, ms of monotonic(), somebody else
   * has it.
   */
  | ({
      readonly type: 'take';
      readonly id: number;
      readonly from: WorkerKey;
      readonly until: number;
    } & HandedOn)
  /** Whether the connection of that `hand-on` has come: else its worker still has the only copy. */
  | { readonly type: 'handed'; readonly id: number; readonly came: boolean }
  /** Who is ready, oneself included: for sticky sessions. */
  | { readonly type: 'workers'; readonly own: WorkerKey; readonly ready: readonly ReadyWorker[] }
  /** Send a heartbeat now. */
  | { readonly type: 'heartbeat' }
  /** Ask the app for a path, as a client would. */
  | { readonly type: 'probe'; readonly path: string; readonly timeout: number }
  | MirrorMasterMessage
  /** Listen, in this slot: for a spare. */
  | { readonly type: 'promote'; readonly slot: number }
  /** Answer a request of your own, through your server. */
  | { readonly type: 'prove'; readonly timeout: number }
  /** What to keep from the app from now on, in place of what was said before: see BlockedRequests. */
  | { readonly type: 'block'; readonly requests: readonly Blocked[]; readonly cell?: CellPlace }
  /** Write a file about this process, for `seconds` where it takes time. */
  | {
      readonly type: 'evidence';
      readonly id: number;
      readonly kind: EvidenceKind;
      /** Absolute path of the file to be made. */
      readonly path: string;
      readonly seconds: number;
    }
  | { readonly type: 'stats'; readonly id: number; readonly stats: PublicStats }
  /** `fleet` null: this host is alone. */
  | { readonly type: 'fleet'; readonly id: number; readonly fleet: PublicFleet | null }
  /** Tell what you have counted. */
  | { readonly type: 'metrics'; readonly id: number }
  | { readonly type: 'metrics-snapshot'; readonly id: number; readonly snapshot: MetricsSnapshot };

export type EvidenceKind = 'profile' | 'heap-snapshot';

/**
 * The app shares the channel with us. Node emits a message whose `cmd` begins with `NODE_` as this event instead of
 * 'message', in both directions (child_process, subprocess.send): the app's listeners on 'message' do not get ours, and
 * ours stay when the app removes all listeners on 'message'.
 */
export const channelEvent = 'internalMessage';
const mark = 'NODE_ROM_AGENT';

/**
 * The message that Node drops, where one came without the handle that it was sent with: a receiver without a free file
 * descriptor gets the bytes and not the handle, the sender hears of nothing, and only this event shows it
 * (child_process, setupChannel, NODE_HANDLE). Any other message as it is.
 */
export function withLostHandle(raw: unknown, handle: unknown): unknown {
  return isRecord(raw) && raw.cmd === 'NODE_HANDLE' && (handle ?? null) === null ? raw.msg : raw;
}

/** ms, by a clock that all processes of this machine share. */
export function monotonic(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

export type Envelope<Message> = { readonly cmd: typeof mark } & Message;

/** `foreign`: not a message of ours, and none of our business. */
export type Parsed<Message> =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'foreign' }
  | { readonly kind: 'malformed'; readonly reason: string };

export function seal<Message extends WorkerMessage | MasterMessage>(message: Message): Envelope<Message> {
  return { cmd: mark, ...message };
}

/** Checks a message from a worker: the app runs in the same process and may send anything. */
export function parseWorkerMessage(raw: unknown): Parsed<WorkerMessage> {
  return parse(raw, workerShapes);
}

export function parseMasterMessage(raw: unknown): Parsed<MasterMessage> {
  return parse(raw, masterShapes);
}

type Check = (value: unknown, at: string) => string | null;
type Shape = Readonly<Record<string, Check>>;

const number: Check = (value, at) => (Number.isFinite(value) ? null : wrong(at, value, 'a finite number'));
const status: Check = (value, at) =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 255
    ? null
    : wrong(at, value, 'an exit status');
const boolean: Check = (value, at) => (typeof value === 'boolean' ? null : wrong(at, value, 'true or false'));
const string: Check = (value, at) => (typeof value === 'string' ? null : wrong(at, value, 'a string'));
const strings: Check = (value, at) =>
  Array.isArray(value) && value.every((item) => typeof item === 'string')
    ? null
    : wrong(at, value, 'an array of strings');
const numbers: Check = (value, at) =>
  Array.isArray(value) && value.every((item) => Number.isFinite(item))
    ? null
    : wrong(at, value, 'an array of finite numbers');
function requestsWith(check: Check): Check {
  return arrayOf(check, 'requests');
}
function arrayOf(check: Check, what: string): Check {
  return (value, at) => {
    if (!Array.isArray(value)) return wrong(at, value, `an array of ${what}`);
    for (const [index, item] of value.entries()) {
      const reason = check(item, `${at}[${index}]`);
      if (reason !== null) return reason;
    }
    return null;
  };
}
/** An object with any names, of which each value is checked. */
function valuesOf(check: Check): Check {
  return (value, at) => {
    if (!isRecord(value)) return wrong(at, value, 'an object');
    return Object.entries(value).reduce<string | null>(
      (reason, [name, item]) => reason ?? check(item, `${at}.${name}`),
      null,
    );
  };
}
const anything: Check = () => null;
const requestNotes = requestsWith(record({ method: string, path: string, ageMs: number }));
const distribution = record({ counts: numbers, sumSeconds: number });
const workerMetrics = record({
  counters: record({
    requests: number,
    accepted: number,
    shed: number,
    cpuSeconds: number,
    loopActiveSeconds: number,
    loopIdleSeconds: number,
  }),
  routes: arrayOf(record({ route: string, answers: valuesOf(number), durations: distribution }), 'routes'),
  delays: distribution,
  gc: valuesOf(distribution),
  gauges: record({
    rssBytes: number,
    heapUsedBytes: number,
    heapSizeBytes: number,
    heapLimitBytes: number,
    externalBytes: number,
    connections: number,
    inFlight: number,
    eventLoopDelaySeconds: number,
    openFds: nullable(number),
    maxFds: nullable(number),
  }),
  app: nullable(record({ json: nullable(string), failure: nullable(string) })),
});
const requests = requestsWith(record({ method: string, path: string }));
const mirrorRequest = record({ method: string, url: string, headers: strings });
const mirrorAnswer = { status: number, type: nullable(string), length: nullable(number), tookMs: number };

/** A canary that has not answered has no more to tell. */
const mirrorOutcome: Check = (value, at) => {
  const answered = { outcome: oneOf('answered', 'refused'), ...mirrorAnswer, waitedMs: nullable(number) };
  const none = { outcome: oneOf('failed', 'hung', 'late') };
  return record(isRecord(value) && 'status' in value ? answered : none)(value, at);
};
const mirrorPair = record({ method: string, path: string, old: record(mirrorAnswer), canary: mirrorOutcome });

const workerShapes: Readonly<Record<WorkerMessage['type'], Shape>> = {
  hello: {},
  ready: { urls: strings, onTarget: boolean },
  waits: { port: number },
  listens: { urls: strings, onTarget: boolean },
  failed: {
    drains: optional(boolean),
    failure: record({
      message: string,
      exitCode: status,
      errno: optional(number),
      stack: optional(string),
      lasting: optional(boolean),
    }),
  },
  heartbeat: {
    heartbeat: record({
      requests: number,
      inFlight: number,
      connections: number,
      accepted: number,
      kept: nullable(number),
      answers: number,
      errors: number,
      latency: numbers,
      bytesWritten: number,
      rssBytes: number,
      heapUsedBytes: number,
      heapLimitBytes: number,
      eventLoopDelayMs: number,
      eventLoopUtilization: number,
      current: requestNotes,
      begun: optional(requests),
      check: optional(record({ failures: number, failure: nullable(string) })),
      shed: optional(record({ requests: number, why: oneOf('late', 'full') })),
      keepAliveTimeoutMs: optional(number),
    }),
  },
  cut: { requests: number, connections: number },
  closed: { inFlight: number, accepted: number },
  probed: { failure: nullable(string), tookMs: number },
  'mirror-opened': { failure: nullable(string) },
  sample: { to: number, request: mirrorRequest, answer: record(mirrorAnswer) },
  mirrored: { pair: mirrorPair },
  drained: {},
  spare: {},
  current: { inFlight: number, requests: requestNotes },
  proved: {},
  stall: {
    stall: record({
      tookMs: number,
      cause: oneOf('code', 'gc', 'starved'),
      gcMs: number,
      notRunMs: number,
      function: nullable(string),
      file: nullable(string),
      line: nullable(number),
      column: nullable(number),
      exact: boolean,
      share: number,
      looks: number,
      stack: nullable(string),
      requests: requestNotes,
      more: number,
    }),
  },
  collected: { atMs: number, bytes: number, counts: valuesOf(number) },
  worked: {
    atMs: number,
    cpuMs: number,
    loopMs: number,
    longestMs: number,
    outsideBytes: number,
    counts: valuesOf(number),
  },
  evidence: { id: number, path: string, bytes: number, failure: nullable(string) },
  'hand-on': {
    id: number,
    to: nullable(number),
    slot: nullable(number),
    server: string,
    hops: number,
    head: nullable(string),
    silence: nullable(number),
  },
  taken: { id: number, outcome: string },
  'stats-request': { id: number },
  'fleet-request': { id: number },
  'want-backplane': {},
  'metrics-request': { id: number },
  metrics: { id: number, metrics: workerMetrics },
};

const masterShapes: Readonly<Record<MasterMessage['type'], Shape>> = {
  drain: { timeout: number, last: boolean, patience: optional(number) },
  release: {},
  dismissed: {},
  'lame-duck': {},
  'even-out': { to: number, count: number },
  take: {
    id: number,
    from: number,
    until: optional(number),
    server: string,
    hops: number,
    head: nullable(string),
    silence: nullable(number),
  },
  handed: { id: number, came: boolean },
  workers: { own: number, ready: anything },
  heartbeat: {},
  probe: { path: string, timeout: number },
  'mirror-open': { timeout: number },
  mirror: { to: number, perSecond: number, for: number, rules: anything },
  'mirror-ask': { request: mirrorRequest, answer: record(mirrorAnswer) },
  promote: { slot: number },
  prove: { timeout: number },
  block: { requests: anything },
  evidence: { id: number, kind: string, path: string, seconds: number },
  stats: { id: number, stats: anything },
  fleet: { id: number, fleet: anything },
  metrics: { id: number },
  'metrics-snapshot': { id: number, snapshot: anything },
};

function parse<Message>(raw: unknown, shapes: Readonly<Record<string, Shape>>): Parsed<Message> {
  if (!isRecord(raw) || raw.cmd !== mark) return { kind: 'foreign' };
  const { type } = raw;
  const shape = typeof type === 'string' && Object.hasOwn(shapes, type) ? shapes[type] : undefined;
  if (typeof type !== 'string' || shape === undefined) {
    return { kind: 'malformed', reason: wrong('type', type, `one of ${Object.keys(shapes).join(', ')}`) };
  }
  const reason = firstWrong(raw, shape, type);
  return reason === null ? { kind: 'message', message: raw as Message } : { kind: 'malformed', reason };
}

function oneOf(...names: readonly string[]): Check {
  return (value, at) =>
    names.includes(String(value)) ? null : wrong(at, value, `one of ${names.join(', ')}`);
}

function record(shape: Shape): Check {
  return (value, at) => (isRecord(value) ? firstWrong(value, shape, at) : wrong(at, value, 'an object'));
}

function optional(check: Check): Check {
  return (value, at) => (value === undefined ? null : check(value, at));
}

function nullable(check: Check): Check {
  return (value, at) => (value === null ? null : check(value, at));
}

function firstWrong(value: Readonly<Record<string, unknown>>, shape: Shape, at: string): string | null {
  for (const [name, check] of Object.entries(shape)) {
    const reason = check(value[name], `${at}.${name}`);
    if (reason !== null) return reason;
  }
  return null;
}

function wrong(at: string, value: unknown, expected: string): string {
  return `${at} is ${JSON.stringify(value)}, expected ${expected}`;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
