import { lstatSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import type { Config } from '../config/config.js';
import { exitCodes, RomAgentError } from '../errors.js';
import type { Listen } from '../protocol/settings.js';
import type { BoundSocket } from '../service-manager/passed-sockets.js';

/** Where the app is to be served: on sockets that were passed in, else where the configuration says. */
export function listenTarget({ port, host, socketMode }: Config, sockets: readonly BoundSocket[]): Listen {
  if (sockets.length > 0) return { kind: 'fds', sockets, port };
  if (host?.startsWith('/')) return { kind: 'path', path: host, mode: socketMode };
  return { kind: 'tcp', port, host };
}

/**
 * Removes the unix socket that a killed daemon left behind; a socket that answers, or a file that is none, stays.
 *
 * @throws RomAgentError exit 69 where another process listens on it, 73 where it is not a socket
 */
export async function clearStaleSocket(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) {
    const message = `host: ${path} exists and is not a socket; expected a free path`;
    throw new RomAgentError(message, { exitCode: exitCodes.cannotCreate });
  }
  if (await answers(path)) {
    throw new RomAgentError(`socket ${path} is in use by another process`, {
      exitCode: exitCodes.addressInUse,
    });
  }
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      settle(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
    );
  });
}
