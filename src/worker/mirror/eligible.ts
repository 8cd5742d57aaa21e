import type { IncomingMessage } from 'node:http';
import { type MirrorRequest, type MirrorRules, mirrorHeader } from '../../protocol/mirror.js';
import { withoutQuery } from '../../protocol/requests.js';

/*
 * Which requests a canary may be asked once more, and what of them: docs/how-to/mirror.md promises it. GET and HEAD without a
 * body, by RFC 9110 (9.2.1) safe, which an app may see otherwise: hence the rules of the configuration.
 */

/** Longest URL, and longest header together, in characters: a request is a message from process to process. */
const longestUrl = 4_096;
const longestHeaders = 16_384;

/** Fields that concern one connection (RFC 9110, 7.6.1), or a body. */
const ofConnection: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
]);

/** Names of fields by which an app knows who asks: those of HTTP, those of APIs, and those that a proxy adds. */
const credential =
  /^(proxy-)?authorization$|^cookie2?$|(^|[-_])(api-?key|key|token|jwt|secret|session(-?id)?|auth|signature|passw(or)?d|credentials?|csrf|xsrf)([-_]|$)|(^|[-_])(remote|forwarded|authenticated)[-_](user|email|groups?)|(^|[-_])client[-_](cert|dn|verify)/;

/** The request as the canary is to be asked it; null: it must not be asked. */
export function eligible(request: IncomingMessage, rules: MirrorRules): MirrorRequest | null {
  const { method, url, headers, rawHeaders } = request;
  if ((method !== 'GET' && method !== 'HEAD') || url === undefined || !url.startsWith('/')) return null;
  if (url.length > longestUrl || !isRouted(withoutQuery(url), rules.routes)) return null;
  if (headers['content-length'] !== undefined && headers['content-length'] !== '0') return null;
  if (['transfer-encoding', 'upgrade', 'expect', mirrorHeader.toLowerCase()].some((name) => name in headers))
    return null;
  if (headers.host === undefined) return null;
  const kept: string[] = [];
  let length = 0;
  for (let place = 0; place + 1 < rawHeaders.length; place += 2) {
    const [name = '', value = ''] = [rawHeaders[place], rawHeaders[place + 1]];
    const lower = name.toLowerCase();
    if (!rules.credentials && credential.test(lower)) return null;
    if (ofConnection.has(lower)) continue;
    kept.push(name, value);
    length += name.length + value.length;
  }
  return length > longestHeaders ? null : { method, url, headers: kept };
}

/** @param routes paths, with `*` at the end for all that begins so, and `!` before those that are left out; empty: all */
export function isRouted(path: string, routes: readonly string[]): boolean {
  const left = routes.filter((route) => route.startsWith('!')).map((route) => route.slice(1));
  if (left.some((route) => fits(path, route))) return false;
  return left.length === routes.length || routes.some((route) => !route.startsWith('!') && fits(path, route));
}

function fits(path: string, route: string): boolean {
  return route.endsWith('*') ? path.startsWith(route.slice(0, -1)) : path === route;
}
