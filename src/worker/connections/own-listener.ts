import { randomUUID } from 'node:crypto';
import type { AddressInfo, ListenOptions, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where to connect to, as net.connect() takes it. */
export type Where = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * Makes a server of ours listen for this process alone. It listens on loopback, because an app's listeners of
 * 'connection' expect a client with an address; on a unix socket where the service may not use the network.
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

/** `exclusive`: the listener belongs to this process and not to the cluster. */
function open(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...options, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** On Linux an abstract name, which is no file (unix(7)). */
function unixPath(): string {
  const name = `rom-agent-${randomUUID()}`;
  return process.platform === 'linux' ? `\0${name}` : join(tmpdir(), name.slice(0, 20));
}
