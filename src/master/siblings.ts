import type { Event } from '../core/events.js';
import { heartbeatsOwed } from '../core/health.js';
import type { State, Worker } from '../core/state.js';
import { nameOf, type Ready } from '../core/workers.js';
import type { Millis } from '../protocol/limits.js';
import type { MasterMessage, ReadyWorker, WorkerKey } from '../protocol/messages.js';
import type { Siblings } from '../protocol/settings.js';
import { isOfWatch, tellWatch } from './watch-mode.js';

/** Where the workers that serve listen: a new worker has to listen there too. */
export interface Addresses {
  /** A worker is ready, or has changed where it listens. */
  heard(key: WorkerKey, worker: Pick<Worker, 'role' | 'generation'>, where: Siblings): void;
  gone(key: WorkerKey): void;
  /** The addresses that all workers that serve have in common; null: no worker serves. */
  common(): Siblings | null;
  /** The addresses of a worker that listens where the configuration says; else those of the last one that reported any. */
  urls(): readonly string[];
}

interface Known extends Siblings {
  readonly generation: number;
}

/** @param warn hears of a worker that has no address in common with the others of its generation */
export function createAddresses(
  warn: (message: string, fields: Readonly<Record<string, unknown>>) => void,
): Addresses {
  const known = new Map<WorkerKey, Known>();
  const told = new Set<WorkerKey>();
  return {
    heard: (key, worker, { urls, onTarget }) => {
      const { generation } = worker;
      const others = [...known].filter(([each, entry]) => each !== key && entry.generation === generation);
      known.set(key, { generation, urls, onTarget });
      const theirs = new Set(others.flatMap(([, entry]) => entry.urls));
      if (theirs.size === 0 || told.has(key) || urls.some((url) => theirs.has(url))) return;
      told.add(key);
      warn(
        `${nameOf(worker)} listens on other addresses than the other workers: clients of theirs do not reach it`,
        {
          urls,
          others: [...theirs],
        },
      );
    },
    urls: () => {
      const all = [...known.values()];
      return (all.find(({ onTarget }) => onTarget) ?? all.at(-1))?.urls ?? [];
    },
    gone: (key) => {
      known.delete(key);
      told.delete(key);
    },
    common: () => {
      const [first, ...others] = [...known.values()];
      if (first === undefined) return null;
      return {
        urls: first.urls.filter((url) => others.every(({ urls }) => urls.includes(url))),
        onTarget: first.onTarget || others.some(({ onTarget }) => onTarget),
      };
    },
  };
}

export interface AnnounceSeam {
  readonly send: (key: WorkerKey, message: MasterMessage) => void;
  /** Whether the worker's last heartbeat is recent. */
  readonly isHeard: (worker: Worker) => boolean;
}

/**
 * Tells the workers which workers are ready, whenever that has changed. It is called after every change of the state.
 * Workers without a recent heartbeat are left out, so that no clients are sent to them; if no worker has one, all are in.
 *
 * Nearly every event is a heartbeat of a worker that is in the list already, which changes nothing: the tick, once a second,
 * finds those that are heard no more.
 */
export function createAnnouncer({ send, isHeard }: AnnounceSeam): (state: State, event: Event) => void {
  let told = '';
  let listed: ReadonlySet<WorkerKey> = new Set();
  return ({ workers }, event) => {
    if (event.type === 'heartbeat' && listed.has(event.key)) return;
    const all = workers.filter((worker): worker is Ready => worker.phase === 'ready');
    const heard = all.filter(isHeard);
    const ready = (heard.length === 0 ? all : heard).map(
      ({ key, role }): ReadyWorker => ({ key, slot: role.slot }),
    );
    // A worker that became ready since has to be told too.
    const news = [...ready.map(({ key }) => key), '|', ...all.map(({ key }) => key)].join();
    if (news === told) return;
    told = news;
    listed = new Set(heard.map(({ key }) => key));
    for (const { key } of all) send(key, { type: 'workers', own: key, ready });
  };
}

/** Whether a worker that is ready has sent a heartbeat in time. */
export function isHeard(
  worker: Worker,
  { now, heartbeatInterval }: { now: Millis; heartbeatInterval: Millis },
): boolean {
  return worker.phase === 'ready' && now - worker.heartbeatAt <= heartbeatsOwed * heartbeatInterval;
}

/** What an app sends to the primary of its cluster (`process.send`): the master, in which no code of the app runs. */
export interface AppMessages {
  receive(from: WorkerKey, message: unknown): void;
  /** The worker has exited. */
  gone(key: WorkerKey): void;
}

export interface AppMessagesSeam {
  /** Sends to the app in another worker, where it arrives as the event 'message'. */
  readonly tell: (key: WorkerKey, message: object) => void;
  readonly warn: (message: string) => void;
}

/** How many kinds of messages the log is told of. */
const mostKinds = 20;

/**
 * Serves the cluster adapter of Socket.IO, whose part in the primary only forwards messages to the other workers. All other
 * messages are discarded, with one warning for each kind, because the app may wait for an answer.
 */
export function createAppMessages({ tell, warn }: AppMessagesSeam): AppMessages {
  /** Workers that use such an adapter: in others the messages would pile up unread. */
  const adapters = new Set<WorkerKey>();
  const told = new Set<string>();
  return {
    receive: (from, message) => {
      if (isOfWatch(message)) return tellWatch(message);
      if (isOfAdapter(message)) {
        adapters.add(from);
        for (const key of adapters) if (key !== from) tell(key, message);
        return;
      }
      const kind = kindOf(message);
      if (kind === null || told.has(kind) || told.size === mostKinds) return;
      told.add(kind);
      warn(
        `discarded a message of the app to the primary of its cluster (${kind}), and will discard all of this kind: ` +
          `no code of the app runs there${kind in remedies ? `; ${remedies[kind]}` : ''}`,
      );
    },
    gone: (key) => void adapters.delete(key),
  };
}

const remedies: Readonly<Record<string, string>> = {
  'topic log4js:message': 'set disableClustering: true in log4js, so that workers write themselves',
  'type prom-client:getMetricsRes':
    'the cluster registry of prom-client needs a primary of its own: scrape each worker instead',
};

function isOfAdapter(message: unknown): message is object {
  return isRecord(message) && message.source === '_sio_adapter';
}

/** The field that usually names a message's kind; null: one that needs no answer, such as PM2's "ready" and metrics. */
function kindOf(message: unknown): string | null {
  if (!isRecord(message))
    return typeof message === 'string' && message !== 'ready' ? shortened(message) : null;
  for (const name of ['topic', 'type', 'cmd', 'event', 'action', 'source', '_source']) {
    const value = message[name];
    if (typeof value === 'string') return isOfPm2(value) ? null : `${name} ${shortened(value)}`;
  }
  return `an object with ${shortened(Object.keys(message).join(', ')) || 'nothing in it'}`;
}

function isOfPm2(type: string): boolean {
  return type.startsWith('axm:') || type.startsWith('sticky:');
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
