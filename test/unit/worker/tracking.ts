import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import type { TestContext } from 'node:test';
import { type Servers, trackServers } from '../../../src/worker/connections/servers.js';
import { createDrainer, type Drainer, type DrainOptions } from '../../../src/worker/drain/drain.js';

let drainer: Drainer | null = null;

/** What a worker has before its app runs. Once per process: nothing takes a subscription back. */
export const servers: Servers = trackServers({
  onRequest: (response, { socket }) => drainer?.onRequest(response, socket),
  onAnswered: (response) => drainer?.onAnswered(response),
});

/** Listens on a free port of the loopback until the test ends. */
export async function listening(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    if (server.listening) server.close();
    for (const entry of servers.all) for (const socket of entry.sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

export interface Draining {
  /** Resolves to how long the drain took, ms. */
  readonly done: Promise<number>;
  readonly over: () => boolean;
}

export interface DrainSetup extends Partial<DrainOptions> {
  readonly last?: boolean;
  readonly timeout?: number;
  readonly closed?: () => Promise<void>;
  readonly isPatient?: () => boolean;
}

/** Begins to drain every server of this process. */
export function drain(t: TestContext, setup: DrainSetup = {}): Draining {
  const { linger = 150, closeWebSockets = true, beside = () => new Set<Server>() } = setup;
  const elsewhere = setup.elsewhere === undefined ? {} : { elsewhere: setup.elsewhere };
  const { last = false, timeout = 30_000, closed = async () => {}, isPatient = () => false } = setup;
  drainer = createDrainer(servers, { linger, closeWebSockets, beside, ...elsewhere });
  t.after(() => {
    drainer = null;
  });
  const began = performance.now();
  let over = false;
  const done = drainer.drain({ last, timeout, closed, isPatient }).then(() => {
    over = true;
    return performance.now() - began;
  });
  return { done, over: () => over };
}
