import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import {
  type Answer,
  apiVersion,
  blankLineInterval,
  type ControlEvent,
  type EvidenceAnswer,
  type EvidenceContent,
  type EvidenceFile,
  type Found,
  jsonType,
  longestSocketPath,
  type NotifyAnswer,
  type ReloadLine,
  type ReloadOptions,
  type RolloutOptions,
  type ScaleChange,
  type StackAnswer,
  versionHeader,
} from '../protocol/control-api.js';
import type { DeployLine, DeployOptions, ReleasesAnswer, RollbackOptions } from '../protocol/deploy.js';
import type { FleetStats, RolloutLine } from '../protocol/fleet.js';
import { notifyLimit, profileGrace, snapshotLimit } from '../protocol/limits.js';
import type { LogsLine } from '../protocol/log-line.js';
import type { MetricsSnapshot } from '../protocol/metrics.js';
import type { FailedJobsAnswer, QueuesAnswer } from '../protocol/queues.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { ClusterStats } from '../protocol/stats.js';
import type { Why, WhyQuery } from '../protocol/why.js';
import {
  explainFailure,
  notRomAgent,
  pathTooLong,
  RefusedByDaemon,
  tooLate,
  wentAway,
} from './client-errors.js';
import { type JobCalls, jobCalls } from './job-client.js';
import { createLineReader } from './line-reader.js';
import { type UpgradeCalls, upgradeCalls } from './upgrade-client.js';

/** The daemon's commands, from another process. Every failure is a RomAgentError, in words for the operator. */
export interface ControlClient extends JobCalls, UpgradeCalls {
  status(): Promise<ClusterStats>;
  /**
   * Resolves once the reload is over, whatever its verdict; `onLine` gets the answer, each step and the record.
   *
   * @throws RomAgentError exit 75 where it is refused, or where the daemon goes away before the verdict
   */
  reload(options: ReloadOptions, onLine: (line: ReloadLine) => void): Promise<ReloadRecord>;
  /** This and the next two resolve to what the daemon says to it, and throw with exit 75 where it refuses. */
  abort(by: string): Promise<string>;
  scale(change: ScaleChange, by: string): Promise<string>;
  /** @param worker number of the slot, from 1 */
  restart(worker: number, by: string): Promise<string>;
  /** What the worker does at this moment. */
  stack(worker: number, by: string): Promise<Found<StackAnswer>>;
  /** Resolves once the file is written. */
  profile(worker: number, seconds: number, by: string): Promise<Found<EvidenceAnswer>>;
  heapSnapshot(worker: number, by: string): Promise<Found<EvidenceAnswer>>;
  /** The files that these have written, newest first. */
  evidenceFiles(): Promise<readonly EvidenceFile[]>;
  /**
   * The content of one of them, and its size. Its stream ends with an error where the daemon goes away.
   *
   * @throws RomAgentError where there is no such file
   */
  evidenceFile(name: string): Promise<EvidenceContent>;
  /**
   * Where the log is, then the master's own last lines, at most so many, and each further one. Resolves once `signal` is
   * aborted, or the daemon ends the stream, as it does when it stops.
   */
  logs(options: LogsOptions): Promise<void>;
  /** Tells everybody that `[notify]` names, as a test. Throws with exit 75 where there is nobody. */
  notify(by: string): Promise<Found<NotifyAnswer>>;
  /** Resolves once the daemon has begun to stop. */
  stop(by: string): Promise<void>;
  /**
   * Resolves with its last line once the deploy is over, whatever its verdict, or with the plan of a dry run.
   *
   * @throws RomAgentError exit 75 where it is refused, or where the daemon goes away before
   */
  deploy(options: DeployOptions, onLine: (line: DeployLine) => void): Promise<LastLine>;
  rollback(options: RollbackOptions, onLine: (line: DeployLine) => void): Promise<LastLine>;
  releases(): Promise<ReleasesAnswer>;
  /** The hosts of the fleet. Throws with exit 75 where there is none. */
  fleet(): Promise<FleetStats>;
  /** Has every host reload or deploy. Resolves with the last line. */
  rollout(options: RolloutOptions, onLine: (line: RolloutLine) => void): Promise<RolloutEnd>;
  queues(): Promise<QueuesAnswer>;
  /** Newest first. */
  failedJobs(query: { readonly queue: string; readonly limit?: number }): Promise<FailedJobsAnswer>;
  /** @returns what the daemon says */
  retryJob(job: { readonly queue: string; readonly id: string; readonly by: string }): Promise<string>;
  /** The last reloads, newest first. */
  history(): Promise<readonly ReloadRecord[]>;
  /** What was decided, and from what cause, oldest first. */
  why(query: WhyQuery): Promise<Why>;
  /** What the workers and the master have counted. */
  metrics(): Promise<MetricsSnapshot>;
  config(): Promise<Record<string, { value: unknown; from: string }>>;
  /** Resolves once `signal` is aborted, or the daemon ends the stream, as it does when it stops. */
  events(onEvent: (event: ControlEvent) => void, signal?: AbortSignal): Promise<void>;
}

/** Of the stream of a deploy. */
export type LastLine = Extract<DeployLine, { type: 'record' | 'plan' }>;
export type RolloutEnd = Extract<RolloutLine, { type: 'over' }>;

export interface LogsOptions {
  readonly lines: number;
  /** Whether the stream goes on with what is written from then on; true unless given. */
  readonly follow?: boolean;
  readonly onLine: (line: LogsLine) => void;
  readonly signal?: AbortSignal;
}

export interface ConnectOptions {
  /** Of the control socket. */
  readonly path: string;
  /** How long an answer may take, ms; 10 s unless given. A stream may take as long as it likes. */
  readonly timeout?: number;
}

/** Makes a connection per command, and none before the first. */
export function connectControl({ path, timeout = 10_000 }: ConnectOptions): ControlClient {
  const caller = createCaller({ path, timeout });
  const said = async (call: Call): Promise<string> => messageOf(await caller.ask(call), path);
  return {
    status: async () => asObject<ClusterStats>(await caller.ask(get('status')), path),
    reload: (options, onLine) => reload(caller, options, onLine),
    fleet: async () => asObject<FleetStats>(await caller.ask(get('fleet')), path),
    rollout: async (options, onLine) => {
      let last: RolloutLine | null = null;
      const take = (line: unknown): void => {
        last = line as RolloutLine;
        onLine(last);
      };
      await caller.stream({ ...post('fleet/rollout', options), onLine: take });
      const end = last as RolloutLine | null;
      if (end?.type !== 'over') throw wentAway(path);
      return end;
    },
    abort: (by) => said(post('abort', { by })),
    scale: (change, by) => said(post('scale', { ...change, by })),
    restart: (worker, by) => said(post(`workers/${worker}/restart`, { by })),
    stack: async (worker, by) => asObject(await caller.ask(post(`workers/${worker}/stack`, { by })), path),
    profile: async (worker, seconds, by) => {
      const call = post(`workers/${worker}/profile`, { by, seconds });
      return asObject(await caller.ask({ ...call, timeout: timeout + seconds * 1_000 + profileGrace }), path);
    },
    heapSnapshot: async (worker, by) => {
      const call = post(`workers/${worker}/heap-snapshot`, { by });
      return asObject(await caller.ask({ ...call, timeout: timeout + snapshotLimit }), path);
    },
    notify: async (by) =>
      asObject(await caller.ask({ ...post('notify', { by }), timeout: timeout + notifyLimit }), path),
    evidenceFiles: async () => asList<EvidenceFile>(await caller.ask(get('evidence')), path),
    evidenceFile: async (name) => {
      const content = await caller.open(get(`evidence/${encodeURIComponent(name)}`));
      return { bytes: Number(content.headers['content-length']), content };
    },
    logs: ({ lines, follow = true, onLine, signal }) =>
      caller.stream({
        ...get(`logs?lines=${lines}${follow ? '' : '&follow=off'}`),
        signal,
        onLine: (line) => onLine(line as LogsLine),
      }),
    stop: async (by) => {
      await said(post('stop', { by }));
    },
    deploy: (options, onLine) => deploy(caller, post('deploy', options), onLine),
    rollback: (options, onLine) => deploy(caller, post('rollback', options), onLine),
    ...upgradeCalls(caller),
    releases: async () => asObject(await caller.ask(get('releases')), path),
    queues: async () => asObject(await caller.ask(get('queues')), path),
    failedJobs: async (query) => asObject(await caller.ask(get(`queues/failed${searchOf(query)}`)), path),
    retryJob: (job) => said(post('queues/retry', job)),
    history: async () => asList<ReloadRecord>(await caller.ask(get('history')), path),
    why: async (query) => asObject(await caller.ask(get(`why${searchOf(query)}`)), path),
    metrics: async () => asObject(await caller.ask(get('metrics')), path),
    ...jobCalls(caller),
    config: async () => asObject(await caller.ask(get('config')), path),
    events: (onEvent, signal) =>
      caller.stream({
        ...get('events'),
        signal,
        onLine: (line) => onEvent(line as ControlEvent),
      }),
  };
}

async function reload(
  caller: Caller,
  options: ReloadOptions,
  onLine: (line: ReloadLine) => void,
): Promise<ReloadRecord> {
  let last: ReloadLine | null = null;
  await caller.stream({
    ...post('reload', options),
    onLine: (line) => {
      last = line as ReloadLine;
      onLine(last);
    },
  });
  return verdictIn(last, caller.path);
}

async function deploy(caller: Caller, call: Call, onLine: (line: DeployLine) => void): Promise<LastLine> {
  const seen: LastLine[] = [];
  await caller.stream({
    // It is answered once what its source has is known.
    ...{ ...call, timeout: deployAnswerLimit },
    onLine: (value) => {
      const line = value as DeployLine;
      if (line.type === 'record' || line.type === 'plan') seen.push(line);
      onLine(line);
    },
  });
  const [last] = seen;
  if (last === undefined) throw wentAway(caller.path);
  return last;
}

/** ms */
const deployAnswerLimit = 60_000;

/** @throws RomAgentError where the last line is none with a verdict: the daemon ended before the reload did */
function verdictIn(line: ReloadLine | null, path: string): ReloadRecord {
  if (line?.type === 'refused') throw new RefusedByDaemon(409, line.reason);
  if (line?.type === 'record' && line.record.verdict !== null) return line.record;
  throw wentAway(path);
}

function get(route: string): Call {
  return { method: 'GET', route, body: null };
}

function searchOf(query: object): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)]));
  return given.length === 0 ? '' : `?${search}`;
}

function post(route: string, body: unknown): Call {
  return { method: 'POST', route, body };
}

function messageOf(value: unknown, path: string): string {
  const { message } = asObject<Partial<Extract<Answer, { accepted: true }>>>(value, path);
  if (typeof message !== 'string') throw notRomAgent(path, 'an answer without a message');
  return message;
}

function asObject<T>(value: unknown, path: string): T {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw notRomAgent(path, 'an answer that is not a JSON object');
  }
  return value as T;
}

function asList<T>(value: unknown, path: string): readonly T[] {
  if (!Array.isArray(value)) throw notRomAgent(path, 'an answer that is not a JSON array');
  return value as readonly T[];
}

interface Call {
  readonly method: 'GET' | 'POST';
  /** Below the version, without a slash in front. */
  readonly route: string;
  /** Sent as JSON; null sends nothing. */
  readonly body: unknown;
  /** How long its answer may take, ms; as the caller has it unless given. */
  readonly timeout?: number;
}

interface StreamCall extends Call {
  readonly signal?: AbortSignal | undefined;
  /** What it throws ends the stream. */
  readonly onLine: (value: unknown) => void;
}

/** One request a connection to one control socket. Rejects with a RomAgentError, whatever goes wrong. */
interface Caller {
  readonly path: string;
  /** @returns the JSON of the answer */
  ask(call: Call): Promise<unknown>;
  /** @returns the answer, whose body is to be read */
  open(call: Call): Promise<IncomingMessage>;
  /** Resolves at the end of the stream, or when `signal` is aborted. */
  stream(call: StreamCall): Promise<void>;
}

/** A stream that sends no sign of life for this long has hung, ms. */
const longestSilence = 3 * blankLineInterval;

/** @param timeout ms, for an answer; of a stream, for its first line */
function createCaller({ path, timeout }: { path: string; timeout: number }): Caller {
  const open = (call: Call, signal?: AbortSignal): Promise<IncomingMessage> =>
    answerTo(call, { path, timeout: call.timeout ?? timeout, signal });
  return {
    path,
    ask: async (call) => {
      const incoming = await open(call);
      return parse(await textOf(incoming, { path, timeout: call.timeout ?? timeout }), path);
    },
    open,
    stream: async ({ signal, onLine, ...call }) => {
      try {
        const incoming = await open(call, signal);
        await readLines(incoming, { path, onLine });
      } catch (error) {
        if (signal?.aborted !== true) throw error;
      }
    },
  };
}

interface Target {
  readonly path: string;
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

/** Resolves with the headers of an answer that is a success. */
async function answerTo(call: Call, target: Target): Promise<IncomingMessage> {
  const { path } = target;
  // libuv cuts a longer path off, and another socket would be asked.
  if (Buffer.byteLength(path) > longestSocketPath) throw pathTooLong(path, longestSocketPath);
  const incoming = await firstAnswer(send(call, target), target);
  const version = incoming.headers[versionHeader.toLowerCase()];
  if (version !== apiVersion) {
    incoming.destroy();
    throw notRomAgent(path, version === undefined ? 'another answer' : `version ${version} of the answers`);
  }
  const { statusCode = 0 } = incoming;
  if (statusCode >= 200 && statusCode < 300) return incoming;
  throw new RefusedByDaemon(statusCode, messageIn(await textOf(incoming, target)));
}

function send({ method, route, body }: Call, { path, signal }: Target): ClientRequest {
  const bytes = body === null ? '' : JSON.stringify(body);
  const headers =
    body === null ? {} : { 'Content-Type': jsonType, 'Content-Length': Buffer.byteLength(bytes) };
  const outgoing = request({
    socketPath: path,
    path: `/${apiVersion}/${route}`,
    method,
    headers: { Host: 'localhost', ...headers },
    agent: false,
    ...(signal === undefined ? {} : { signal }),
  });
  outgoing.end(bytes);
  return outgoing;
}

function firstAnswer(outgoing: ClientRequest, { path, timeout }: Target): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => outgoing.destroy(tooLate(path, timeout)), timeout);
    outgoing.once('close', () => clearTimeout(timer));
    outgoing.on('error', (error) => reject(explainFailure(error, path)));
    outgoing.once('response', (incoming) => {
      clearTimeout(timer);
      resolve(incoming);
    });
  });
}

function textOf(incoming: IncomingMessage, { path, timeout }: Target): Promise<string> {
  let text = '';
  const limit = setTimeout(() => incoming.destroy(tooLate(path, timeout)), timeout);
  const collect = (chunk: string): void => {
    text += chunk;
  };
  return ending(incoming, { path, onData: collect })
    .then(() => text)
    .finally(() => clearTimeout(limit));
}

async function readLines(
  incoming: IncomingMessage,
  { path, onLine }: { path: string; onLine: (value: unknown) => void },
): Promise<void> {
  const read = createLineReader((line) => onLine(parse(line, path)));
  const silence = setTimeout(() => incoming.destroy(tooLate(path, longestSilence)), longestSilence);
  const onData = (chunk: string): void => {
    silence.refresh();
    read(chunk);
  };
  await ending(incoming, { path, onData }).finally(() => clearTimeout(silence));
}

/** Resolves at the end of the body; what `onData` throws is passed on as it is. */
function ending(
  incoming: IncomingMessage,
  { path, onData }: { path: string; onData: (chunk: string) => void },
): Promise<void> {
  return new Promise((resolve, reject) => {
    incoming.setEncoding('utf8');
    incoming.on('data', (chunk: string) => {
      try {
        onData(chunk);
      } catch (error) {
        reject(error);
        incoming.destroy();
      }
    });
    incoming.once('end', resolve);
    incoming.on('error', (error) => reject(explainFailure(error, path)));
    incoming.once('close', () => reject(wentAway(path)));
  });
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw notRomAgent(path, 'an answer that is not JSON', cause);
  }
}

function messageIn(text: string): string | null {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } };
    return typeof error?.message === 'string' ? error.message : null;
  } catch {
    return null;
  }
}
