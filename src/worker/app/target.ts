import type { AddressInfo, Server } from 'node:net';
import { resolve } from 'node:path';
import type { Listen } from '../../protocol/settings.js';
import { isPassed } from './listen-passed.js';

/** Whether a server listens where the configuration says that the service is. */
export function isTarget(server: Server, listen: Listen): boolean {
  if (!server.listening) return false;
  if (listen.kind === 'fds') return isPassed(server);
  const address = server.address() as AddressInfo | string | null;
  if (address === null) return false;
  if (typeof address === 'string') return listen.kind === 'path' && resolve(address) === listen.path;
  // Port 0 is any that is free.
  return listen.kind === 'tcp' && (listen.port === 0 || listen.port === address.port);
}

/** The servers on what is configured first: their address is the service's, and they are who a probe asks. */
export function targetFirst<Entry extends { readonly server: Server }>(
  entries: readonly Entry[],
  listen: Listen,
): Entry[] {
  const [on, off] = [true, false].map((is) =>
    entries.filter(({ server }) => isTarget(server, listen) === is),
  );
  return [...(on ?? []), ...(off ?? [])];
}

/**
 * The servers that the app has beside its service: another of its servers may need them to answer. None where nobody is
 * on what is configured.
 */
export function serversBeside(servers: readonly Server[], listen: Listen): ReadonlySet<Server> {
  const beside = servers.filter((server) => !isTarget(server, listen));
  return new Set(beside.length < servers.length ? beside : []);
}

/** The target in words. */
export function targetName(listen: Listen): string {
  switch (listen.kind) {
    case 'tcp':
      return `port ${listen.port}`;
    case 'path':
      return listen.path;
    case 'fds':
      return 'the sockets that were passed in';
  }
}
