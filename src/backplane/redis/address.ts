import { readFileSync } from 'node:fs';
import { exitCodes, RomAgentError } from '../../errors.js';
import type { FleetSettings } from '../../protocol/fleet.js';

/** Where Redis or Valkey is, taken out of a URL. */
export interface RedisAddress {
  readonly place: { readonly host: string; readonly port: number } | { readonly path: string };
  readonly tls: boolean;
  readonly db: number;
  /** An ACL user; null: Redis' user `default`. */
  readonly username: string | null;
  readonly password: string | null;
  /** For log and status: without user and password. */
  readonly shown: string;
}

/** Where it is by the settings, and the PEM that may have signed its certificate. @throws RomAgentError */
export function locate({
  redisUrl,
  redisUrlFile,
  tlsCa,
}: Pick<FleetSettings, 'redisUrl' | 'redisUrlFile' | 'tlsCa'>): {
  readonly address: RedisAddress;
  readonly ca: string | null;
} {
  const [url, field] =
    redisUrlFile === null
      ? [redisUrl ?? '', 'fleet.redis_url']
      : [contentOf(redisUrlFile, 'fleet.redis_url_file').trim(), `fleet.redis_url_file (${redisUrlFile})`];
  const address = redisAddress(url, field);
  const ca = tlsCa === null ? null : contentOf(tlsCa, 'fleet.tls_ca');
  if (ca !== null && !address.tls) {
    const message = `fleet.tls_ca: the URL of Redis (${address.shown}) does not begin with rediss://, so that no certificate is asked for`;
    throw new RomAgentError(message, { exitCode: exitCodes.config });
  }
  return { address, ca };
}

/** Redis' own port, for TLS too. */
const usualPort = 6379;

/**
 * `redis://`, `rediss://` (TLS), `unix:///path` or `/path`, with user and password before the @, and the database as the
 * path of the URL (`?db=` for a socket).
 *
 * @param field the setting, for the error
 * @throws RomAgentError that does not repeat the URL, which may hold a password
 */
export function redisAddress(url: string, field: string): RedisAddress {
  const text = url.startsWith('/') ? `unix://${url}` : url;
  const bad = (what: string): RomAgentError =>
    new RomAgentError(
      `${field}: ${what}; expected redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:///path/of/socket, ` +
        'with USER:PASSWORD@ before the host where Redis wants them',
      { exitCode: exitCodes.config },
    );
  if (!URL.canParse(text)) throw bad('is no URL');
  const parsed = new URL(text);
  const { protocol, hostname, port, pathname, searchParams } = parsed;
  const username = decoded(parsed.username);
  const password = decoded(parsed.password);
  if (username === undefined || password === undefined) {
    throw bad('a % in user or password is to be written as %25');
  }
  const who = { username: username === '' ? null : username, password: password === '' ? null : password };
  if (protocol === 'unix:') {
    if (pathname === '' || pathname === '/') throw bad('the path of the socket is missing');
    const db = database(searchParams.get('db') ?? '0');
    if (db === null) throw bad('?db= is no number from 0 to 65535');
    const path = decodeURIComponent(pathname);
    return { place: { path }, tls: false, db, ...who, shown: `unix://${path}` };
  }
  if (protocol !== 'redis:' && protocol !== 'rediss:') throw bad(`begins with ${protocol}//`);
  if (hostname === '') throw bad('the host is missing');
  const db = database(pathname.replace(/^\//, '') || '0');
  if (db === null) throw bad('what follows the host is no database from 0 to 65535');
  const number = port === '' ? usualPort : Number(port);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const shown = `${protocol}//${hostname}:${number}${db === 0 ? '' : `/${db}`}`;
  return { place: { host, port: number }, tls: protocol === 'rediss:', db, ...who, shown };
}

function database(text: string): number | null {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : null;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function contentOf(path: string, field: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new RomAgentError(`${field}: ${path} cannot be read (${code})`, {
      exitCode: exitCodes.config,
      cause,
    });
  }
}
