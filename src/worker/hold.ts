import type { Server, Socket } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import type { TrackedServer } from './servers.js';

/** Connections that are accepted but not read from yet. */
export interface Held {
  /** Resolves once nobody new has come for a moment, or has kept coming for too long. */
  quiet(): Promise<void>;
  release(): void;
}

/** A moment without a new connection, and how long to wait for one, ms. */
const moment = 8;
const limit = 100;

/**
 * When the last process closes a listening socket, the kernel resets what it has queued for it: requests that were sent
 * to a service which had not refused them. Clients that come again after each answer keep that queue filled. So, just
 * before the end, whoever is accepted is kept waiting instead of answered, until nobody is left to come; once the socket
 * is closed everywhere they are served, and find it refused the next time.
 */
export function holdNewcomers(tracked: readonly TrackedServer[]): Held {
  const held = new Set<Socket>();
  const hold = (socket: Socket): void => {
    held.add(socket);
    // Not at once: node:http has it resumed at the next tick.
    process.nextTick(() => socket.pause());
  };
  const servers = tracked.filter(({ server }) => server.listening && isHttp(server));
  for (const { server } of servers) server.on(arrival(server), hold);
  return {
    quiet: async () => {
      const deadline = performance.now() + limit;
      for (let before = -1; before < held.size && performance.now() < deadline; ) {
        before = held.size;
        await sleep(moment);
        // A process that got no CPU finds its timer due before it finds who came meanwhile: let it look.
        await turn();
      }
    },
    release: () => {
      for (const { server } of servers) server.removeListener(arrival(server), hold);
      for (const socket of held) socket.resume();
    },
  };
}

function arrival(server: Server): string {
  return 'setSecureContext' in server ? 'secureConnection' : 'connection';
}

/** Others may have a use of their own for pause(). */
function isHttp(server: Server): boolean {
  return 'closeIdleConnections' in server;
}
