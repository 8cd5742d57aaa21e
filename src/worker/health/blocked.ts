import type { RequestListener, Server } from 'node:http';
import type { Server as NetServer } from 'node:net';
import { divert } from '../../http/divert.js';
import { renderError } from '../../http/errors.js';
import type { CellPlace } from '../../protocol/cell.js';
import { type Blocked, fingerprintOf } from '../../protocol/requests.js';
import { pathOf } from '../connections/connections.js';
import { isHttp } from '../connections/follow-server.js';
import type { Servers } from '../connections/servers.js';

/** Nothing of it is loaded where there is no cell. */
const passOn = () => import('../cell/forward.js');

/**
 * Requests that this worker answers with 503, or passes on to the cell, and keeps from the app, because workers died with such requests in
 * flight.
 */
export interface BlockedRequests {
  /** Replaces the earlier ones. `cell`: where they are passed on to; absent: they are answered with 503. */
  set(requests: readonly Blocked[], cell?: CellPlace): void;
  /** A server is about to listen. */
  mount(server: NetServer): void;
}

export interface BlockedSeam {
  readonly servers: Pick<Servers, 'all'>;
  /** ms */
  readonly now: () => number;
}

/** While no request is blocked, nothing stands between the servers and the app. */
export function createBlockedRequests({ servers, now }: BlockedSeam): BlockedRequests {
  const undo = new Map<Server, () => void>();
  let until = new Map<string, number>();
  let place: CellPlace | null = null;

  const left = (request: Parameters<RequestListener>[0]): number => {
    const { method, route } = fingerprintOf({ method: request.method ?? '', path: pathOf(request) });
    return (until.get(nameOf(method, route)) ?? 0) - now();
  };
  const refuse: RequestListener = (request, response) => {
    response.writeHead(503, {
      'Content-Type': 'application/json; charset=utf-8',
      'Cache-Control': 'no-store',
      'Retry-After': String(Math.ceil(Math.max(0, left(request)) / 1000)),
    });
    response.end(answer);
  };
  const mount = (server: NetServer): void => {
    if (until.size === 0 || !isHttp(server) || undo.has(server)) return;
    const handle: RequestListener = (request, response) => {
      if (place === null) return refuse(request, response);
      passOn().then(
        ({ forward }) => forward(() => place, server, request, response),
        () => refuse(request, response),
      );
    };
    undo.set(server, divert(server, { takes: (request) => left(request) > 0, handle }));
  };
  return {
    set: (requests, cell) => {
      const at = now();
      place = cell ?? null;
      if (place !== null) passOn().catch(() => {});
      until = new Map(requests.map(({ method, route, for: time }) => [nameOf(method, route), at + time]));
      for (const { server } of servers.all) mount(server);
      if (until.size > 0) return;
      for (const end of undo.values()) end();
      undo.clear();
    },
    mount,
  };
}

const answer = renderError(
  503,
  'requests of this kind were in flight when workers died; they are not served for a while',
);

function nameOf(method: string, route: string): string {
  return `${method} ${route}`;
}
