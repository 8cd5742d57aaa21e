import type { ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import type { MasterMessage, ReadyWorker } from '../../protocol/messages.js';
import type { WorkerSettings } from '../../protocol/settings.js';
import { descriptorLimit } from '../connections/descriptors.js';
import { isHttp, isTls } from '../connections/follow-server.js';
import { type ClientHandle, listenHandleOf } from '../node-internals/listening.js';
import type { HandOn } from './hand-on.js';
import { createHeadReader, mostHeads } from './read-head.js';
import { addCookie, cookieField, cookieValue, newestOf, workerOf } from './sticky-cookie.js';

/** Brings each client to the same worker each time. */
export interface Sticky {
  /** A server has begun to listen. */
  onListening(server: Server): void;
  onRequest(response: ServerResponse, socket: Socket): void;
  /** Tells which workers are ready. */
  onWorkers(message: Extract<MasterMessage, { type: 'workers' }>): void;
  /** From now on this worker keeps all clients, also those that it has not placed yet. */
  stop(): void;
}

export interface StickySeam {
  readonly settings: Pick<WorkerSettings, 'sticky' | 'stickyCookie'>;
  readonly handOn: Pick<HandOn, 'give' | 'serveHere'>;
}

export function createSticky({ settings, handOn }: StickySeam): Sticky {
  const { sticky, stickyCookie: cookie } = settings;
  /** Connections that came before this worker knew the others. */
  const held: (() => void)[] = [];
  let ready: readonly ReadyWorker[] = [];
  let own: number | null = null;
  let stopped = false;

  const byAddress = (client: ClientHandle): ReadyWorker | undefined => {
    const name: { address?: string } = {};
    client.getpeername?.(name);
    if (name.address === undefined) return undefined;
    const address = name.address.replace(/^::ffff:(?=\d+\.)/, '');
    const slots = [...new Set(ready.map(({ slot }) => slot))];
    const slot = rendezvous(address, slots, (id) => id);
    return slot === undefined ? undefined : newestOf(ready, slot);
  };
  const isElsewhere = (worker: ReadyWorker | undefined): worker is ReadyWorker =>
    worker !== undefined && worker.key !== own;

  const reader = createHeadReader(
    (server, placed) => {
      const worker = workerOf(cookieField(placed.head.toString('latin1')), { cookie, ready });
      if (stopped || !isElsewhere(worker)) handOn.serveHere(server, placed);
      else handOn.give(server, { ...placed, to: worker });
    },
    sticky === 'cookie' ? mostHeads(descriptorLimit()) : 0,
  );

  /** False where the connection stays with this worker. */
  const divert = (server: Server, client: ClientHandle): boolean => {
    if (stopped || ready.length < 2) return false;
    if (sticky === 'cookie' && isHttp(server) && !isTls(server)) {
      reader.read(server, client);
      return true;
    }
    const worker = byAddress(client);
    if (!isElsewhere(worker)) return false;
    handOn.give(server, { handle: client, head: Buffer.alloc(0), silence: null, to: worker });
    return true;
  };

  const letIn = (): void => {
    for (const place of held.splice(0)) place();
  };

  return {
    onListening: (server) => {
      const handle = listenHandleOf(server);
      if (sticky === 'off' || typeof handle?.onconnection !== 'function') return;
      const { onconnection } = handle;
      handle.onconnection = function (error, client) {
        const isConnection = client !== undefined && (error === undefined || error === 0);
        const serve = (): void => onconnection.call(this, error, client);
        if (!isConnection) return serve();
        const place = (): void => {
          if (!divert(server, client)) serve();
        };
        if (own === null && !stopped) held.push(place);
        else place();
      };
    },
    onRequest: (response, socket) => {
      if (sticky !== 'cookie' || own === null || 'encrypted' in socket) return;
      const field = response.req.headers.cookie ?? '';
      const worker = workerOf(field, { cookie, ready });
      const self = ready.find(({ key }) => key === own);
      if (self === undefined || stopped) return;
      if (isElsewhere(worker)) {
        // The request came on an older connection; the client's next one can be brought to its worker.
        response.shouldKeepAlive = false;
      } else if (worker === undefined || !field.includes(`${cookie}=${cookieValue(self)}`)) {
        addCookie(response, `${cookie}=${cookieValue(self)}; Path=/; HttpOnly; SameSite=Lax`);
        // Another worker may have answered other requests of this client: the next request shows which cookie the
        // client keeps.
        if (worker === undefined) response.shouldKeepAlive = false;
      }
    },
    onWorkers: (message) => {
      own = message.own;
      ready = message.ready;
      letIn();
    },
    stop: () => {
      stopped = true;
      letIn();
      reader.stop();
    },
  };
}

/**
 * Chooses one for a name, always the same: the one with the highest hash of both (rendezvous hashing, Thaler and
 * Ravishankar, 1998). When a choice is added or removed, only its own names change.
 */
export function rendezvous<Choice>(
  name: string,
  choices: readonly Choice[],
  idOf: (choice: Choice) => number,
): Choice | undefined {
  let best: Choice | undefined;
  let highest = -1;
  for (const choice of choices) {
    const weight = hash(`${name}|${idOf(choice)}`);
    if (weight <= highest) continue;
    highest = weight;
    best = choice;
  }
  return best;
}

/**
 * FNV-1a over UTF-16 units, then the finalizer of MurmurHash3: without it the last digit would hardly change the
 * result.
 */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
