import type {
  Answer,
  ControlEvent,
  EvidenceAnswer,
  ReloadAnswer,
  ScaleChange,
  StackAnswer,
} from '../protocol/control-api.js';
import { profileGrace, snapshotLimit } from '../protocol/limits.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { ClusterStats } from '../protocol/stats.js';
import { type Call, type Caller, createCaller } from './call.js';
import { notRomAgent, wentAway } from './client-errors.js';

/** The daemon's commands, from another process. Every failure is a RomAgentError, in words for the operator. */
export interface ControlClient {
  status(): Promise<ClusterStats>;
  /**
   * Resolves once the reload is over, whatever its verdict; `onLine` gets the answer, each step and the record.
   *
   * @throws RomAgentError exit 75 where it is refused, or where the daemon goes away before the verdict
   */
  reload(options: ReloadRequest, onLine: (line: ReloadLine) => void): Promise<ReloadRecord>;
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
  /** Resolves once the daemon has begun to stop. */
  stop(by: string): Promise<void>;
  /** The last reloads, newest first. */
  history(): Promise<readonly ReloadRecord[]>;
  config(): Promise<Record<string, { value: unknown; from: string }>>;
  /** Resolves once `signal` is aborted, or the daemon ends the stream, as it does when it stops. */
  events(onEvent: (event: ControlEvent) => void, signal?: AbortSignal): Promise<void>;
}

/** What the daemon answers where it does not refuse. */
export type Found<A extends { readonly accepted: boolean }> = Omit<
  Extract<A, { accepted: true }>,
  'accepted'
>;

export interface ReloadRequest {
  readonly by: string;
  readonly soak: boolean;
  readonly rollback: boolean;
}

/** What a reload says while it is under way: its answer first, its record last. */
export type ReloadLine =
  | ({ readonly type: 'answer' } & Extract<ReloadAnswer, { accepted: true }>)
  | Extract<ControlEvent, { type: 'step' | 'record' }>;

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
    stop: async (by) => {
      await said(post('stop', { by }));
    },
    history: async () => asList<ReloadRecord>(await caller.ask(get('history')), path),
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
  options: ReloadRequest,
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

/** @throws RomAgentError where the last line is none with a verdict: the daemon ended before the reload did */
function verdictIn(line: ReloadLine | null, path: string): ReloadRecord {
  if (line?.type === 'record' && line.record.verdict !== null) return line.record;
  throw wentAway(path);
}

function get(route: string): Call {
  return { method: 'GET', route, body: null };
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
    throw notRomAgent(path, 'an answer that is no JSON object');
  }
  return value as T;
}

function asList<T>(value: unknown, path: string): readonly T[] {
  if (!Array.isArray(value)) throw notRomAgent(path, 'an answer that is no JSON array');
  return value as readonly T[];
}
