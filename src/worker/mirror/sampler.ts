import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { isUnder } from '../../http/prefix.js';
import type { WorkerKey } from '../../protocol/messages.js';
import type {
  MirrorAnswer,
  MirrorMasterMessage,
  MirrorRequest,
  MirrorWorkerMessage,
} from '../../protocol/mirror.js';
import type { Listen, WorkerSettings } from '../../protocol/settings.js';
import { isTarget } from '../app/target.js';
import { connectionOf } from '../connections/connections.js';
import { sentHeader } from '../node-internals/http.js';
import { eligible } from './eligible.js';

type Order = Extract<MirrorMasterMessage, { type: 'mirror' }>;
type Sample = Extract<MirrorWorkerMessage, { type: 'sample' }>;

/** Tells the master of requests that this worker has answered, while a reload has its canary mirrored. */
export interface Sampler {
  /** Takes the place of the order before. Without another one it ends by itself. */
  order(order: Order): void;
}

export interface SamplerSeam {
  readonly settings: { readonly listen: Listen } & Pick<WorkerSettings, 'routesPrefix'>;
  readonly send: (sample: Sample) => void;
  /** ms */
  readonly now?: () => number;
  /** 0 to 1 */
  readonly random?: () => number;
  /** Calls once the time is over; returns what calls it off. */
  readonly after?: (ms: number, act: () => void) => () => void;
}

interface Exchanged {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Socket;
  readonly server: Server;
}

interface Chosen {
  readonly to: WorkerKey;
  readonly request: MirrorRequest;
  readonly begun: number;
}

/** Nothing of it runs before the first order, nor after the last. */
export function createSampler({ settings, send, ...seam }: SamplerSeam): Sampler {
  const { now = () => performance.now(), random = Math.random, after = afterTime } = seam;
  const { listen, routesPrefix } = settings;
  let order: Order | null = null;
  let nextAt = 0;
  let callOff = (): void => {};
  let chosen = new WeakMap<ServerResponse, Chosen>();

  const onStart = (message: unknown): void => {
    const at = now();
    if (order === null || at < nextAt) return;
    const { request, response, socket, server } = message as Exchanged;
    if (connectionOf(socket).isOwn || (server.listening && !isTarget(server, listen))) return;
    if (routesPrefix !== null && isUnder(routesPrefix, request.url)) return;
    const asked = eligible(request, order.rules);
    if (asked === null) return;
    // By chance, lest requests that come at a beat are always chosen, or never.
    nextAt = at + (1_000 / order.perSecond) * (0.5 + random());
    chosen.set(response, { to: order.to, request: asked, begun: at });
  };
  const onFinish = (message: unknown): void => {
    const { response } = message as Exchanged;
    const sample = chosen.get(response);
    if (sample === undefined || order === null) return;
    chosen.delete(response);
    const { to, request, begun } = sample;
    send({ type: 'sample', to, request, answer: answerOf(response, now() - begun) });
  };
  const end = (): void => {
    callOff();
    if (order === null) return;
    order = null;
    chosen = new WeakMap();
    unsubscribe('http.server.request.start', onStart);
    unsubscribe('http.server.response.finish', onFinish);
  };
  return {
    order: (next) => {
      if (next.perSecond <= 0) return end();
      callOff();
      callOff = after(next.for, end);
      if (order === null) {
        subscribe('http.server.request.start', onStart);
        subscribe('http.server.response.finish', onFinish);
        // Not all workers at the same moment.
        nextAt = now() + (1_000 / next.perSecond) * random();
      }
      order = next;
    },
  };
}

function answerOf(response: ServerResponse, tookMs: number): MirrorAnswer {
  const header = sentHeader(response);
  const field = (name: string): string | null =>
    new RegExp(`^${name}: *([^\\r]*)\\r$`, 'im').exec(header)?.[1] ?? null;
  return { status: response.statusCode, ...described(field), tookMs: Math.round(tookMs * 10) / 10 };
}

/** Content type and length, as they are compared. */
export function described(
  field: (name: 'content-type' | 'content-length') => string | null,
): Pick<MirrorAnswer, 'type' | 'length'> {
  const type = field('content-type')?.replace(/;.*/s, '').trim().toLowerCase() ?? null;
  const length = field('content-length');
  return {
    type: type === '' ? null : type,
    length: length === null || !/^\d+$/.test(length) ? null : Number(length),
  };
}

function afterTime(ms: number, act: () => void): () => void {
  const timer = setTimeout(act, ms).unref();
  return () => clearTimeout(timer);
}
