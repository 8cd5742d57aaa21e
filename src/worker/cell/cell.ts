import { rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import type { Introduction } from '../../protocol/cell.js';
import type { WorkerSettings } from '../../protocol/settings.js';
import { isTarget, passedTo } from '../app/target.js';
import { isHttp } from '../connections/follow-server.js';
import type { Servers } from '../connections/servers.js';
import {
  aroundListenNow,
  getServerOf,
  type ListenQuery,
  listenHandleOf,
  setGetServer,
} from '../node-internals/listening.js';
import { type Door, openDoor } from './door.js';

/*
 * A worker that is the cell (core/cell.ts) runs the app as any other does, but nobody connects to it: each `listen()` of the
 * app gets a unix socket without a name, and what the app sees of it is what it asked for. Requests come through the door.
 */

export interface CellWorker {
  /** See ListenCalls. */
  lend(server: Server): void;
  waited(): number;
  /** The app listens: takes requests from now on. */
  open(servers: Pick<Servers, 'listening'>): Promise<void>;
  close(): void;
}

export interface CellSeam {
  /** node:cluster and the prototype of net.Server; a test passes in its own. */
  readonly giver?: object;
  readonly prototype?: object;
}

/**
 * Null: this worker is not the cell.
 *
 * @throws Error where this version of Node listens in another way
 */
export function createCell(
  { cell: settings, listen }: Pick<WorkerSettings, 'cell' | 'listen'>,
  { giver, prototype }: CellSeam = {},
): CellWorker | null {
  if (settings === null) return null;
  const { socket } = settings;
  const listenNow = aroundListenNow((_, where, now) => now(where), prototype);
  if (listenNow === null) throw new Error(`the cell: Node ${process.versions.node} listens in another way`);
  const asked = new Map<Server, number | string | null>();
  let isClosed = false;
  let door: Door | null = null;
  dieFirst();
  const original = getServerOf(giver);
  setGetServer(function (this: unknown, asking, query, reply) {
    // UDP: its packets are no requests.
    if (typeof query.addressType === 'string') return original?.call(this, asking, query, reply);
    const server = asking as Server;
    asked.set(server, placeOf(server, query));
    const path = `${socket}.${asked.size}`;
    rmSync(path, { force: true });
    listenNow(server, { ...query, address: path, port: -1, addressType: -1, fd: undefined, flags: 0 });
    rmSync(path, { force: true });
    pretend(server, query);
    return undefined;
  }, giver);

  const serverFor = ({ on }: Introduction, servers: Pick<Servers, 'listening'>): Server | null => {
    const able = servers.listening().filter(isHttp);
    return (
      able.find((server) => on !== null && asked.get(server) === on) ??
      able.find((server) => isTarget(server, listen)) ??
      (able.length === 1 ? (able[0] ?? null) : null)
    );
  };
  return {
    lend: () => {},
    waited: () => 0,
    open: async (servers) => {
      door = await openDoor(settings, (introduction) => serverFor(introduction, servers));
      if (isClosed) door.close();
    },
    close: () => {
      isClosed = true;
      door?.close();
    },
  };
}

/** By what the other workers name the server. */
function placeOf(server: Server, { address, port, addressType }: ListenQuery): number | string | null {
  const passed = passedTo(server);
  if (passed !== undefined) return passed.port ?? passed.path;
  return addressType === -1 ? (address ?? null) : Number(port ?? 0);
}

/** `server.address()` answers what the app has asked for; a path it knows by itself. */
function pretend(server: Server, { address, port, addressType }: ListenQuery): void {
  const handle = listenHandleOf(server);
  if (handle === null || addressType === -1) return;
  const isV4 = addressType === 4;
  handle.getsockname = (out) => {
    Object.assign(out, {
      address: address ?? (isV4 ? '0.0.0.0' : '::'),
      family: isV4 ? 'IPv4' : 'IPv6',
      port: Number(port ?? 0),
    });
    return 0;
  };
}

/** Where the kernel runs out of memory, it ends this process before all others of the service: proc(5), oom_score_adj. */
function dieFirst(): void {
  if (process.platform !== 'linux') return;
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {}
}
