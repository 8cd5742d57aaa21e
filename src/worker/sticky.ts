import type { ServerResponse } from 'node:http';
import { type Server, Socket, type SocketConstructorOpts } from 'node:net';
import type { MasterMessage, ReadyWorker } from '../ipc/messages.js';
import type { WorkerSettings } from '../ipc/settings.js';
import { detach } from './connection-handle.js';
import { isHttp, isTls } from './follow-server.js';
import type { HandOn } from './hand-on.js';
import { type ClientHandle, listenHandleOf } from './node-internals.js';
import { rendezvous } from './rendezvous.js';
import { cookieField, cookieValue, newestOf, workerOf } from './sticky-cookie.js';

/** Brings each client to its worker. */
export interface Sticky {
  /** A server has begun to listen. */
  onListening(server: Server): void;
  onRequest(response: ServerResponse, socket: Socket): void;
  /** Who there is to bring clients to. */
  onWorkers(message: Extract<MasterMessage, { type: 'workers' }>): void;
  /** This worker keeps whoever comes, and whoever it has not placed yet. */
  stop(): void;
}

export interface StickySeam {
  readonly settings: Pick<WorkerSettings, 'sticky' | 'stickyCookie'>;
  readonly handOn: Pick<HandOn, 'give' | 'keep'>;
}

/** The longest head of a request in which the cookie is looked for, bytes; Node reads no longer one by default. */
const longestHead = 16_384;
/** How long it may take to come, ms: Node's own headersTimeout. */
const headLimit = 60_000;

export function createSticky({ settings, handOn }: StickySeam): Sticky {
  const { sticky, stickyCookie: cookie } = settings;
  const reading = new Set<() => void>();
  /** Who came before this worker knew of the others. */
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

  /** Reads the first request's head, and then decides. */
  const placeByCookie = (server: Server, client: ClientHandle): void => {
    const socket = new Socket({ handle: client, readable: true, writable: true } as SocketConstructorOpts);
    const timer = setTimeout(() => socket.destroy(), headLimit);
    let head: Buffer = Buffer.alloc(0);
    const end = (): void => {
      clearTimeout(timer);
      reading.delete(place);
    };
    const place = (): void => {
      end();
      socket.off('data', onData).off('end', onEnd).off('close', end);
      const handle = detach(socket);
      if (handle === null) return;
      const worker = workerOf(cookieField(head.toString('latin1')), { cookie, ready });
      if (stopped || !isElsewhere(worker)) handOn.keep(server, { handle, head });
      else handOn.give(server, { handle, head, to: worker });
    };
    const onData = (chunk: Buffer): void => {
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      if (head.includes('\r\n\r\n') || head.length >= longestHead) place();
    };
    const onEnd = (): void => void socket.destroy();
    reading.add(place);
    socket.on('data', onData).on('end', onEnd).on('close', end).on('error', ignore);
  };

  /** False where the connection is to go on as usual. */
  const divert = (server: Server, client: ClientHandle): boolean => {
    if (stopped || ready.length < 2) return false;
    if (sticky === 'cookie' && isHttp(server) && !isTls(server)) {
      placeByCookie(server, client);
      return true;
    }
    const worker = byAddress(client);
    if (!isElsewhere(worker)) return false;
    handOn.give(server, { handle: client, head: Buffer.alloc(0), to: worker });
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
        // It came on a connection of before: the next request is to make one that can be placed.
        response.shouldKeepAlive = false;
      } else if (worker === undefined || !field.includes(`${cookie}=${cookieValue(self)}`)) {
        response.setHeader('Set-Cookie', `${cookie}=${cookieValue(self)}; Path=/; HttpOnly; SameSite=Lax`);
        // Other requests of this client may have been answered elsewhere: which cookie it keeps shows in the next.
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
      for (const place of [...reading]) place();
    },
  };
}

/** 'close' follows. */
function ignore(): void {}
