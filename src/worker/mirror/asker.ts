import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Server, type Socket } from 'node:net';
import { exitCodes, RomAgentError } from '../../errors.js';
import {
  type MirrorAnswer,
  type MirrorOutcome,
  type MirrorPair,
  type MirrorRequest,
  mirrorHeader,
  refusedValue,
  tooManyRequests,
} from '../../protocol/mirror.js';
import { withoutQuery } from '../../protocol/requests.js';
import type { Listen } from '../../protocol/settings.js';
import type { HeldListen } from '../app/listen-calls.js';
import { isPassed } from '../app/target.js';
import { announce } from '../connections/connections.js';
import type { TellPath } from '../connections/current-requests.js';
import { isHttp, isTls } from '../connections/follow-server.js';
import { listenForOurselves, untracked } from '../connections/servers.js';
import { answersAtStart } from '../health/probe.js';
import { described } from './sampler.js';

/** Asks the app of a canary that does not listen what old workers have answered, and throws its answers away. */
export interface Asker {
  ask(request: MirrorRequest, old: MirrorAnswer): void;
  /** What is under way is cut, and told to nobody. */
  close(): void;
}

export interface AskerSeam {
  /** Servers of the app whose `listen()` is held back. */
  readonly held: readonly HeldListen[];
  readonly listen: Listen;
  /** `start.probe`: the app says by it when it can answer. */
  readonly probe: string | null;
  readonly tellPath: TellPath;
  readonly onPair: (pair: MirrorPair) => void;
  /** How long the main thread has waited for a CPU since it began, ms; null: unknown. */
  readonly waited?: () => number | null;
  /** How long an answer may take, by how long the old worker's did, ms. */
  readonly limit?: (tookMs: number) => number;
}

/** Requests at a time: what comes meanwhile is left out. */
const atOnce = 4;
/** More of a body is not read. */
const longestBody = 2 ** 20;

/**
 * Resolves once the app answers `start.probe`, if there is one.
 *
 * @throws RomAgentError that says why the app cannot be asked
 */
export async function openAsker(seam: AskerSeam, timeout: number): Promise<Asker> {
  const { probe, onPair, tellPath, waited = waitedForCpu, limit = usualLimit } = seam;
  const server = askable(seam);
  const door = new Server((socket: Socket) => {
    // Requests of ours are no traffic of the service.
    announce(socket, 'isOwn');
    server.emit('connection', socket);
  });
  untracked.add(door);
  const where = await listenForOurselves(door);
  // A server that speaks TLS has loaded node:https already.
  const request = isTls(server) ? (await import('node:https')).request : httpRequest;
  const underWay = new Set<() => void>();
  let begun = 0;
  let lastAnswered = 0;
  let isClosed = false;

  const send = (asked: MirrorRequest, longest: number): Promise<MirrorOutcome> => {
    const place = ++begun;
    const begunAt = performance.now();
    const waitedBefore = waited();
    return new Promise((resolve) => {
      let answer: IncomingMessage | null = null;
      const settle = (outcome: MirrorOutcome): void => {
        clearTimeout(late);
        underWay.delete(cut);
        resolve(outcome);
        sent.destroy();
      };
      const answered = (): void => {
        if (answer === null) return;
        lastAnswered = Math.max(lastAnswered, place);
        const after = waited();
        const waitedMs = after === null || waitedBefore === null ? null : after - waitedBefore;
        settle(outcomeOf(answer, { tookMs: performance.now() - begunAt, waitedMs }));
      };
      const onAnswer = (response: IncomingMessage): void => {
        answer = response;
        let read = 0;
        response.on('data', (chunk: Buffer) => {
          read += chunk.length;
          if (read > longestBody) answered();
        });
        response.once('end', answered).once('error', () => settle({ outcome: 'failed' }));
      };
      const options = {
        ...('path' in where ? { socketPath: where.path } : where),
        method: asked.method,
        path: asked.url,
        headers: [...asked.headers, mirrorHeader, '1', 'Connection', 'close'],
        agent: false,
        // The server is this very process: whose name the certificate has does not matter.
        rejectUnauthorized: false,
      };
      const sent = request(options as object, onAnswer);
      sent.once('error', (error) => settle({ outcome: isOfTls(error) ? 'refused' : 'failed', ...nothing }));
      sent.once('close', () => settle({ outcome: 'failed' }));
      const late = setTimeout(() => {
        // A stream of events never ends; that it has begun is an answer.
        if (answer !== null) return answered();
        settle({ outcome: lastAnswered > place ? 'hung' : 'late' });
      }, longest).unref();
      const cut = (): void => settle({ outcome: 'late' });
      underWay.add(cut);
      sent.end();
    });
  };
  const close = (): void => {
    isClosed = true;
    for (const cut of [...underWay]) cut();
    door.close();
  };
  try {
    if (probe !== null) await untilReady(probe, timeout);
  } catch (error) {
    close();
    throw error;
  }
  return {
    ask: (asked, old) => {
      if (isClosed || underWay.size >= atOnce) return;
      void send(asked, limit(old.tookMs)).then((canary) => {
        if (isClosed) return;
        onPair({ method: asked.method, path: tellPath(withoutQuery(asked.url)), old, canary });
      });
    },
    close,
  };

  async function untilReady(path: string, within: number): Promise<void> {
    const question = { method: 'GET', url: path, headers: ['Host', 'localhost', 'User-Agent', 'rom-agent'] };
    await answersAtStart(
      { path, until: performance.now() + within },
      {
        ask: async ({ timeout: longest }) => {
          const begunAt = performance.now();
          const told = await send(question, longest);
          const isWell = 'status' in told && told.status < 500;
          const what = 'status' in told ? `answered with ${told.status}` : 'not answered';
          return {
            failure: isWell ? null : `GET ${path} was ${what}`,
            tookMs: Math.round(performance.now() - begunAt),
          };
        },
        isDraining: () => isClosed,
      },
    );
  }
}

/** The server on the configured address; an app that has one server only is asked at that. */
function askable({ held, listen }: Pick<AskerSeam, 'held' | 'listen'>): Server {
  const able = held.filter(({ server }) => isHttp(server));
  const [only] = able;
  const found = able.find((each) => isMeant(each, listen)) ?? (able.length === 1 ? only : undefined);
  if (found !== undefined) return found.server;
  throw new RomAgentError(
    held.length === 0
      ? 'its app does not call listen()'
      : 'no server of its app speaks HTTP/1 on the configured address',
    { exitCode: exitCodes.appFailed },
  );
}

function isMeant({ server, query }: HeldListen, listen: Listen): boolean {
  switch (listen.kind) {
    case 'tcp':
      return Number(query.addressType) > 0 && (listen.port === 0 || Number(query.port) === listen.port);
    case 'path':
      return query.addressType === -1 && query.address === listen.path;
    case 'fds':
      return isPassed(server);
    case 'none':
      return false;
  }
}

function outcomeOf(
  { statusCode = 0, headers }: IncomingMessage,
  { tookMs, waitedMs }: { readonly tookMs: number; readonly waitedMs: number | null },
): MirrorOutcome {
  const isRefused = statusCode === tooManyRequests || headers[mirrorHeader.toLowerCase()] === refusedValue;
  return {
    outcome: isRefused ? 'refused' : 'answered',
    status: statusCode,
    ...described((name) => headers[name] ?? null),
    tookMs: Math.round(tookMs * 10) / 10,
    waitedMs: waitedMs === null ? null : Math.round(waitedMs),
  };
}

/** Long enough for a cold canary on a machine that has other work. */
function usualLimit(tookMs: number): number {
  return Math.min(30_000, 10_000 + 10 * tookMs);
}

/** A server that wants certificates refuses whoever has none, the old workers' clients have one: there is nothing to compare. */
function isOfTls({ code = '' }: NodeJS.ErrnoException): boolean {
  return code.startsWith('ERR_SSL_');
}

const nothing = { status: 0, type: null, length: null, tookMs: 0, waitedMs: null };

/** proc_pid_schedstat: nanoseconds on a CPU, nanoseconds that it waited for one, time slices. */
function waitedForCpu(): number | null {
  try {
    const [, waited] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ');
    return Number(waited) / 1e6;
  } catch {
    return null;
  }
}
