import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type FileIdentity,
  listenBeside,
  listening,
  prepareDirectory,
  removeOwn,
  takeName,
} from '../control/socket-file.js';
import { exitCodes, RomAgentError } from '../errors.js';
import { onClientError } from '../http/client-error.js';
import type { AdminPlace } from '../protocol/admin-process.js';

export interface AdminServer {
  /** Null for a unix socket. */
  readonly port: number | null;
  /** Cuts what is under way, and removes the unix socket. */
  close(): void;
}

/** A connection costs memory, of which this process has little. */
const mostConnections = 128;

/** ms */
const limits = {
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
};

/** @throws RomAgentError where the address is in use, does not exist, or may not be taken */
export async function listen(handle: RequestListener, place: AdminPlace): Promise<AdminServer> {
  const server = createServer(limits, handle);
  server.maxConnections = mostConnections;
  server.on('clientError', onClientError);
  let own: FileIdentity | null = null;
  try {
    if (place.kind === 'tcp') {
      await listening(server, { host: place.host, port: place.port });
    } else {
      prepareDirectory(place.path);
      const beside = await listenBeside(server, place);
      own = beside.own;
      await takeName(beside.temporary, place.path);
    }
  } catch (cause) {
    server.close();
    throw cause instanceof RomAgentError ? cause : cannotListen(place, cause);
  }
  const address = server.address();
  return {
    port: place.kind === 'tcp' ? (address as AddressInfo).port : null,
    close: () => {
      if (place.kind === 'path') removeOwn(place.path, own);
      server.close();
      server.closeAllConnections();
    },
  };
}

function cannotListen(place: AdminPlace, cause: unknown): RomAgentError {
  const { code = String(cause) } = cause as NodeJS.ErrnoException;
  const where = place.kind === 'tcp' ? `${place.host} port ${place.port}` : place.path;
  const remedy = code === 'EADDRINUSE' ? ': another process has it; choose another one' : '';
  return new RomAgentError(`admin: cannot listen on ${where} (${code})${remedy}`, {
    exitCode: exitCodes.addressInUse,
    cause,
  });
}
