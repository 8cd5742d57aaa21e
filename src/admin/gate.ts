import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isLoopback } from '../protocol/admin-process.js';
import { guardHeader } from './api.js';

/** What the gate looks at of a request. */
export interface Arrival {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Of the query, `?token=`; null: none. */
  readonly token: string | null;
}

/**
 * `pass`: it may go on; `enter`: it knows the token by its URL, and is given the cookie and the URL without it; `refuse`: it is
 * answered so.
 */
export type Verdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'enter'; readonly cookie: string }
  | { readonly kind: 'refuse'; readonly status: 400 | 401 | 403 | 415; readonly message: string };

export interface GateOptions {
  /** What a client has to know; null: nothing. */
  readonly token: string | null;
  /**
   * `own`: only names of the loopback may stand in the Host header, so that the page of a stranger cannot reach the server
   * by a name of its own that leads here (DNS rebinding); `any`: the token keeps strangers out, or no browser gets here.
   */
  readonly hosts: 'own' | 'any';
}

/** Decides about each request before anything else does. */
export function createGate({ token, hosts }: GateOptions): (arrival: Arrival) => Verdict {
  const secrets = token === null ? null : secretsOf(token);
  return (arrival) => {
    const stranger = hosts === 'own' ? strangeHost(arrival.headers.host) : null;
    if (stranger !== null) return stranger;
    const reading = arrival.method === 'GET' || arrival.method === 'HEAD';
    const entrance = secrets === null ? null : enter(arrival, { secrets, reading });
    if (entrance !== null) return entrance;
    return (reading ? readBy(arrival, token === null) : changedBy(arrival)) ?? { kind: 'pass' };
  };
}

/**
 * No script, style or request that is not from here; nothing else may show the page in a frame.
 * @param styles hashes of the styles that may stand in the page itself
 */
export function contentPolicy(styles: readonly string[] = []): string {
  return (
    `default-src 'none'; script-src 'self'; worker-src 'self'; style-src ${["'self'", ...styles].join(' ')}; ` +
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; " +
    "frame-ancestors 'none'"
  );
}

/** Set on every answer. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'Content-Security-Policy': contentPolicy(),
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

interface Secrets {
  readonly token: Buffer;
  readonly cookieName: string;
  /** Derived: a server on another port of this host is sent the cookie too, and must not learn the token. */
  readonly cookieValue: string;
}

function secretsOf(token: string): Secrets {
  const cookieValue = createHmac('sha256', token).update('rom-agent admin cookie').digest('hex');
  // One browser may know several services, and cookies do not tell ports apart.
  const cookieName = `rom-agent-${digest(`name of ${token}`).toString('hex').slice(0, 12)}`;
  return { token: digest(token), cookieName, cookieValue };
}

/** Null for one that may go on to the next check. */
function enter(
  { headers, token: asked, path }: Arrival,
  { secrets, reading }: { readonly secrets: Secrets; readonly reading: boolean },
): Verdict | null {
  const bearer = /^Bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1] ?? null;
  if (bearer !== null && isSame(bearer, secrets.token)) return null;
  const held = cookieOf(headers.cookie, secrets.cookieName);
  const hasCookie = held !== null && isSame(held, digest(secrets.cookieValue));
  if (asked !== null && reading && isSame(asked, secrets.token)) {
    const cookie = `${secrets.cookieName}=${secrets.cookieValue}; Path=/; HttpOnly; SameSite=Strict`;
    // A program that asks for data is no browser that comes in.
    return isData(path) ? null : { kind: 'enter', cookie };
  }
  if (hasCookie) return null;
  const wrong = bearer !== null || asked !== null ? 'the token is not right' : 'a token is needed';
  const how =
    'open the URL that rom-agent dashboard prints, or /?token=TOKEN with the one of admin_token_file';
  return { kind: 'refuse', status: 401, message: `${wrong}: ${how}` };
}

function isData(path: string): boolean {
  return path.startsWith('/api/') || path === '/metrics';
}

/** A page of another site can send requests to here, if not read what they are answered with. */
function readBy({ headers, path }: Arrival, isOpen: boolean): Verdict | null {
  if (!isData(path)) return null;
  const site = headers['sec-fetch-site'];
  if (site === 'cross-site' || site === 'same-site') {
    return { kind: 'refuse', status: 403, message: 'a page of another site may not ask for this' };
  }
  // What can be made to fetch a URL, such as an app that takes one from its clients, sets no header.
  const isMeant =
    site === 'same-origin' ||
    site === 'none' ||
    headers[guard] === '1' ||
    headers.authorization !== undefined;
  if (!isOpen || isMeant || !path.startsWith('/api/evidence/')) return null;
  return { kind: 'refuse', status: 403, message: `evidence is given to the page, or with ${guardHeader}: 1` };
}

function changedBy({ headers }: Arrival): Verdict | null {
  const site = headers['sec-fetch-site'];
  const { origin, host } = headers;
  const isOwn = origin === undefined || hostIn(origin) === host?.toLowerCase();
  if (!isOwn || (site !== undefined && site !== 'same-origin')) {
    return { kind: 'refuse', status: 403, message: 'a page of another site may not do this' };
  }
  if (headers[guard] !== '1') {
    return { kind: 'refuse', status: 403, message: `the header ${guardHeader}: 1 is missing` };
  }
  if (/^application\/json *(;|$)/i.test(headers['content-type'] ?? '')) return null;
  return { kind: 'refuse', status: 415, message: 'the body has to be application/json' };
}

function strangeHost(host: string | undefined): Verdict | null {
  const [, bracketed, name] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(host ?? '') ?? [];
  const asked = (bracketed ?? name ?? '').toLowerCase();
  if (isLoopback(asked) || asked.endsWith('.localhost')) return null;
  const message =
    'the Host header has to name the loopback, such as localhost; on another name the server answers with admin_token_file';
  return { kind: 'refuse', status: 403, message };
}

const guard = guardHeader.toLowerCase();

function hostIn(origin: string): string | null {
  try {
    return new URL(origin).host;
  } catch {
    return null;
  }
}

function cookieOf(header: string | undefined, name: string): string | null {
  const found = (header ?? '').split(/; */).find((each) => each.startsWith(`${name}=`));
  return found?.slice(name.length + 1) ?? null;
}

/** In a time that does not depend on how much of it is right. */
function isSame(given: string, expected: Buffer): boolean {
  return timingSafeEqual(digest(given), expected);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
