import { connect, createServer, type Socket } from 'node:net';
import { exitCodes, RomAgentError } from '../errors.js';

/** Stands between the app and what a variable of its environment names, such as a database. */
export interface DependencyProxy {
  readonly variable: string;
  /** The variable's URL with the address of this proxy. */
  readonly url: string;
  /** So many connections that the app has made. */
  connections(): number;
  /** From now on nothing goes through, and nobody is told: as behind a firewall, or with a host that is gone. */
  silence(): void;
  /** From now on connections are passed on again; those from before are reset. */
  resume(): void;
  close(): void;
}

/** Where the URL has none. */
const usualPorts: Readonly<Record<string, number>> = {
  'redis:': 6379,
  'postgres:': 5432,
  'postgresql:': 5432,
  'mysql:': 3306,
  'mariadb:': 3306,
  'mongodb:': 27017,
  'amqp:': 5672,
  'http:': 80,
};

const withTls: ReadonlySet<string> = new Set(['rediss:', 'https:', 'amqps:', 'mongodb+srv:']);

/** With TLS the app would check the certificate against the address of the proxy. */
const expected =
  'a URL with a host and a port, such as "redis://127.0.0.1:6379" or "postgres://user@db:5432/shop", without TLS';

/**
 * @param value of the variable
 * @throws RomAgentError exit 64 where it is no URL of one host
 */
export async function openProxy(variable: string, value: string | undefined): Promise<DependencyProxy> {
  if (value === undefined || value === '') throw wrong(`--cut ${variable}: missing in the environment`);
  if (!URL.canParse(value)) throw wrong(`--cut ${variable}: its value is no URL`);
  const url = new URL(value);
  if (withTls.has(url.protocol)) throw wrong(`--cut ${variable}: its value begins with "${url.protocol}//"`);
  const port = Number(url.port) || usualPorts[url.protocol];
  // The value may hold a password: it is not shown.
  if (url.hostname === '' || port === undefined)
    throw wrong(
      `--cut ${variable}: its value, which begins with "${url.protocol}//", names no host and port`,
    );
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const pairs = new Set<readonly [Socket, Socket]>();
  let isSilent = false;
  let made = 0;
  const server = createServer({ allowHalfOpen: true }, (near) => {
    made += 1;
    const far = connect({ host, port, allowHalfOpen: true });
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk) => void (isSilent || to.write(chunk)));
      from.on('end', () => void (isSilent || to.end()));
      from.on('error', () => {});
      from.on('close', () => {
        if (!isSilent) to.destroy();
        if (near.destroyed && far.destroyed) pairs.delete(pair);
      });
    }
    if (isSilent) far.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  url.hostname = '127.0.0.1';
  url.port = String(typeof address === 'object' && address !== null ? address.port : 0);
  const endAll = (): void => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
    pairs.clear();
  };
  return {
    variable,
    url: url.href,
    connections: () => made,
    silence: () => {
      isSilent = true;
    },
    resume: () => {
      isSilent = false;
      endAll();
    },
    close: () => {
      endAll();
      server.close();
    },
  };
}

function wrong(what: string): RomAgentError {
  return new RomAgentError(`${what}: expected ${expected}`, { exitCode: exitCodes.usage });
}
