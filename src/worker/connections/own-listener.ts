import { randomUUID } from 'node:crypto';
import type { AddressInfo, ListenOptions, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where to connect to, as net.connect() wants it. */
export type Where = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * Has a server of ours listen for this process alone. By the loopback, as apps expect of a client: their listeners of
 * 'connection' see an address like any other. Where the service may use no network at all, by a unix socket.
 *
 * @throws the system's error where neither can be opened
 */
export async function listenForOurselves(server: Server): Promise<Where> {
  for (const host of ['127.0.0.1', '::1']) {
    try {
      await open(server, { port: 0, host });
      return { host, port: (server.address() as AddressInfo).port };
    } catch {}
  }
  const path = unixPath();
  await open(server, { path });
  return { path };
}

/** `exclusive`: a listener of this process, not one of the cluster. */
function open(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...options, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** On Linux a name that is no file (unix(7)). */
function unixPath(): string {
  const name = `rom-agent-${randomUUID()}`;
  return process.platform === 'linux' ? `\0${name}` : join(tmpdir(), name.slice(0, 20));
}
