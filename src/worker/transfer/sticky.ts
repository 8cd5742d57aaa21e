import type { ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import type { MasterMessage, ReadyWorker } from '../../protocol/messages.js';
import type { WorkerSettings } from '../../protocol/settings.js';
import { descriptorLimit } from '../connections/descriptors.js';
import { isHttp, isTls } from '../connections/follow-server.js';
import { type ClientHandle, listenHandleOf } from '../node-internals/listening.js';
import type { HandOn } from './hand-on.js';
import { createHeadReader, mostHeads } from './read-head.js';

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

/** Names a worker: the number of its slot, and which of the slot's workers it is. */
export function cookieValue({ slot, key }: ReadyWorker): string {
  return `${slot}.${key}`;
}

/** The value of the `Cookie` fields in a request's head; empty where there is none. */
export function cookieField(head: string): string {
  const end = head.indexOf('\r\n\r\n');
  const fields = [...(end === -1 ? head : head.slice(0, end)).matchAll(/^cookie:[ \t]*(.*)$/gim)];
  return fields.map(([, value = '']) => value.trim()).join('; ');
}

/**
 * The worker that a `Cookie` field names, or if it was replaced the newest worker of its slot. Undefined where the
 * cookie is missing or malformed, or the slot is gone.
 */
export function workerOf(
  field: string,
  { cookie, ready }: { cookie: string; ready: readonly ReadyWorker[] },
): ReadyWorker | undefined {
  for (const pair of field.split(';')) {
    const [name = '', value = ''] = pair.trim().split('=', 2);
    const match = name === cookie ? /^(\d{1,9})\.(\d{1,15})$/.exec(value) : null;
    if (match === null) continue;
    const [, slot, key] = match;
    return ready.find((worker) => worker.key === Number(key)) ?? newestOf(ready, Number(slot));
  }
  return undefined;
}

export function newestOf(ready: readonly ReadyWorker[], slot: number): ReadyWorker | undefined {
  return ready
    .filter((worker) => worker.slot === slot)
    .reduce<ReadyWorker | undefined>((best, next) => ((best?.key ?? -1) < next.key ? next : best), undefined);
}

type Write = (this: ServerResponse, status: number, ...more: unknown[]) => ServerResponse;

/**
 * Adds a cookie to those of the app when the head of the answer is written, in whatever way the app sets its own.
 * Until then the app sees nothing of it.
 */
export function addCookie(response: ServerResponse, cookie: string): void {
  const writeHead = response.writeHead as Write;
  let isSet = false;
  const writeWith: Write = function (status, ...more) {
    if (this.headersSent) return writeHead.call(this, status, ...more);
    const at = typeof more[0] === 'string' ? 1 : 0;
    const given = more[at];
    const isAlone = this.getHeaderNames().length === 0;
    const headers = withCookie(given, { cookie, isAlone });
    if (headers !== null) more[at] = headers;
    else if (!isSet) this.appendHeader('Set-Cookie', cookie);
    // If Node rejects the status or the fields, the app may try again.
    isSet = headers === null || isSet;
    return writeHead.call(this, status, ...more);
  };
  response.writeHead = writeWith as ServerResponse['writeHead'];
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

/**
 * The arguments of writeHead(), with the cookie. Null: the cookie must be set on the response.
 *
 * @param isAlone the response itself has no fields, so that Node sends the given ones as they are
 */
function withCookie(given: unknown, { cookie, isAlone }: { cookie: string; isAlone: boolean }): unknown {
  if (typeof given !== 'object' || given === null) return null;
  // Node throws, and says what is wrong.
  if (Array.isArray(given) && !Array.isArray(given[0]) && given.length % 2 !== 0) return null;
  const pairs = pairsOf(given);
  const last = pairs.findLastIndex(([name]) => isSetCookie(name));
  if (last === -1 && !isAlone) return null;
  // Added to the last one: where Node merges fields, a second field of the name would replace the first.
  const added: Pair[] =
    last === -1
      ? [...pairs, ['Set-Cookie', cookie]]
      : pairs.map(([name, value], nth) => [name, nth === last ? [value, cookie].flat() : value]);
  if (!Array.isArray(given)) return Object.fromEntries(added);
  return Array.isArray(given[0]) ? added : added.flat(1);
}

type Pair = [name: unknown, value: unknown];

function pairsOf(given: object): Pair[] {
  if (!Array.isArray(given)) return Object.entries(given);
  if (Array.isArray(given[0])) return given.map(([name, value]) => [name, value]);
  return Array.from({ length: Math.ceil(given.length / 2) }, (_, nth) => [
    given[2 * nth],
    given[2 * nth + 1],
  ]);
}

function isSetCookie(name: unknown): boolean {
  return typeof name === 'string' && name.toLowerCase() === 'set-cookie';
}
