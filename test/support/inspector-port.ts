import { execFile } from 'node:child_process';
import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { openSockets, tcpListeners } from '../../src/processes.js';

export interface Address {
  readonly host: '127.0.0.1' | '::1';
  readonly port: number;
}

/** Where a process listens on the loopback: each look has what is new since the one before. */
export type ListenerWatch = () => Promise<readonly Address[]>;

/** The listeners of a process cannot be seen. */
export class CannotLook extends Error {}

/**
 * The sockets that workers share, whoever may answer there, are open in this process too, and left out.
 *
 * @throws CannotLook, when a look is taken
 */
export function watchListeners(pid: number, { platform, proc = '/proc' }: WatchOptions): ListenerWatch {
  return platform === 'linux' ? procWatch(pid, proc) : lsofWatch(pid);
}

export interface WatchOptions {
  readonly platform: NodeJS.Platform;
  readonly proc?: string;
}

/** The output of `lsof -F n`: a line a field, its first letter says which. */
export function parseLsof(output: string): readonly Address[] {
  return [...output.matchAll(/^n(\S+):(\d+)$/gm)].flatMap(([, host, port]): Address[] => {
    if (host === '127.0.0.1' || host === '*') return [{ host: '127.0.0.1', port: Number(port) }];
    return host === '[::1]' ? [{ host: '::1', port: Number(port) }] : [];
  });
}

/** The WebSocket of the inspector that answers there; null where none does. */
export async function inspectorAt({ host, port }: Address, signal: AbortSignal): Promise<string | null> {
  try {
    const list: unknown = JSON.parse(await fetchText({ host, port, path: '/json/list', signal }));
    const [target] = Array.isArray(list) ? (list as { webSocketDebuggerUrl?: unknown }[]) : [];
    return typeof target?.webSocketDebuggerUrl === 'string' ? target.webSocketDebuggerUrl : null;
  } catch {
    return null;
  }
}

/** 127.0.0.1, ::1 and what includes them, on machines of either byte order. */
function isLocal(address: string): boolean {
  return local.has(address) || /^0+$/.test(address);
}

const local: ReadonlySet<string> = new Set([
  '0100007F',
  '7F000001',
  '00000000000000000000000001000000',
  '00000000000000000000000000000001',
]);

/** Which sockets a process has takes long to find out where it has many connections: only a new listener has it done. */
function procWatch(pid: number, proc: string): ListenerWatch {
  const seen = new Set<string>();
  return async () => {
    const fresh = [...tcpListeners(`${proc}/${pid}/net`)].filter(
      ({ inode, address }) => !seen.has(inode) && isLocal(address),
    );
    if (fresh.length === 0) return [];
    const theirs = openSockets(`${proc}/${pid}`);
    const shared = openSockets(`${proc}/self`);
    for (const { inode } of fresh) seen.add(inode);
    return fresh
      .filter(({ inode }) => theirs.has(inode) && !shared.has(inode))
      .map(({ family, port }) => ({ host: family === 'tcp' ? '127.0.0.1' : '::1', port }));
  };
}

function lsofWatch(pid: number): ListenerWatch {
  const seen = new Set<number>();
  const flags = ['-nP', '-a', '-p', String(pid), '-iTCP', '-sTCP:LISTEN', '-Fn'];
  return async () => {
    const { stdout } = await promisify(execFile)('lsof', flags, { timeout: lsofLimit }).catch(noneFound);
    const fresh = parseLsof(stdout).filter(({ port }) => !seen.has(port));
    for (const { port } of fresh) seen.add(port);
    return fresh;
  };
}

/** Its status is 1 where there is nothing to list. */
function noneFound(error: { readonly code?: unknown }): { stdout: string } {
  if (error.code === 1) return { stdout: '' };
  throw new CannotLook('lsof, which would find its inspector, cannot be run', { cause: error });
}

/** ms */
const lsofLimit = 1_000;

function fetchText(question: Address & { path: string; signal: AbortSignal }): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = get({ ...question, agent: false }, (incoming) => {
      text(incoming).then(resolve, reject);
    });
    outgoing.on('error', reject);
  });
}
