/**
 * The admin server is a process of its own. Whoever starts it, the master or `rom-agent dashboard`, gives it its settings in
 * one environment variable and hears of it over the channel of child_process. When that channel breaks the server ends, so
 * that it never survives whoever started it.
 */
export const adminVariable = 'ROM_AGENT_ADMIN';

export interface AdminSettings {
  /** Of the service, for the page's title. */
  readonly name: string;
  readonly version: string;
  /** Absolute path of the daemon's control socket. */
  readonly controlSocket: string;
  readonly place: AdminPlace;
  readonly token: AdminToken;
  /** Who asks, for the daemon's log and records. */
  readonly by: string;
  /** Whether a forge may start deploys; null: none may. */
  readonly hook: AdminHook | null;
}

/** `[deploy]`'s webhook. */
export interface AdminHook {
  readonly secretFile: string;
  /** null: the default branch. */
  readonly branch: string | null;
  /** What is deployed; null: `deploy.ref`. */
  readonly ref: string | null;
}

/** Where it listens; port 0 takes any free port. */
export type AdminPlace =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'path'; readonly path: string; readonly mode: number };

/** What a client has to know: nothing, what the server makes up and tells who started it, or what a file contains. */
export type AdminToken =
  | { readonly kind: 'none' }
  | { readonly kind: 'random' }
  | { readonly kind: 'file'; readonly path: string };

/** What the server tells who started it. */
export type AdminMessage =
  /** `port` null: it listens on a unix socket; `token` only where it was made up. */
  | { readonly type: 'listening'; readonly port: number | null; readonly token: string | null }
  /** It ends, for this reason. */
  | { readonly type: 'failed'; readonly message: string }
  /** For the log. */
  | { readonly type: 'problem'; readonly message: string };

/** Permission bits of the unix socket where the setting says nothing. */
const usualSocketMode = 0o600;

/** Characters that a token has at least. */
export const shortestToken = 16;

/** What is wrong with a file of a secret, behind its path; null: nothing. Its content is not told. */
export function secretProblem(text: string): string | null {
  if (/^[\x21-\x7e]+$/.test(text.trim()) && text.trim().length >= shortestToken) return null;
  return `is not right: expected one line of ${shortestToken} or more printable characters without spaces`;
}

/** @param address a value of the setting `admin` */
export function adminPlaceOf(address: string, mode: number = usualSocketMode): AdminPlace {
  if (address.startsWith('/')) return { kind: 'path', path: address, mode };
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  return { kind: 'tcp', host, port: Number(address.slice(at + 1)) };
}

/** Whether only processes of this machine reach the address; `localhost` is taken at its word. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

export function isAdminMessage(value: unknown): value is AdminMessage {
  if (typeof value !== 'object' || value === null) return false;
  const { type } = value as { type?: unknown };
  return type === 'listening' || type === 'failed' || type === 'problem';
}
