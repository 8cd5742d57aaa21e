import { subscribe } from 'node:diagnostics_channel';
import { existsSync, readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import {
  aloneVariable,
  environmentFile,
  holdHeader,
  type Order,
  ordersSocket,
  profileFile,
  sandboxVariable,
  type Unanswered,
} from '../reports.js';
import { watchBoot } from './boot.js';
import { collect, fill, leaks, watchHeap } from './memory.js';
import { callSite, createTell, placeIn } from './tell.js';

/*
 * Loaded by --require into each process that runs the app in a rehearsal, before anything else. It changes nothing that the
 * app does: it notes who wants to hear of a signal, who ends the process and what is unanswered then, holds back the
 * answers that the rehearsal marks, and does what the rehearsal orders.
 */

const folder = process.env[sandboxVariable];
// The app's own children and threads inherit the flag; they are its own affair.
const isHost = process.env.ROM_AGENT_WORKER !== undefined || process.env[aloneVariable] !== undefined;
if (folder !== undefined && isHost && isMainThread) watch(folder);

function watch(sandbox: string): void {
  delete process.env[aloneVariable];
  Object.assign(process.env, JSON.parse(readFileSync(join(sandbox, environmentFile), 'utf8')));
  const tell = createTell(sandbox);
  const requests = new Map<ServerResponse, Unanswered>();
  const unanswered = (): readonly Unanswered[] => [...requests.values()];
  const boot = existsSync(join(sandbox, profileFile)) ? watchBoot() : null;
  followRequests({ requests, onHeld: (id) => tell({ type: 'held', id }) });
  followEndings({
    onHandler: (signal) => tell({ type: 'handler', signal, at: callSite() }),
    onExit: (by) => tell({ type: 'exit', by, at: callSite(), unanswered: unanswered() }),
    onCut: () => tell({ type: 'cut', at: callSite(), unanswered: unanswered() }),
  });
  process.on('uncaughtExceptionMonitor', (error: unknown, origin) => {
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: '' };
    tell({ type: 'uncaught', origin, message: message.split('\n')[0] ?? '', at: placeIn(stack ?? '') });
  });
  obey(join(sandbox, ordersSocket), async (order) => {
    switch (order.do) {
      case 'collect':
        return collect();
      case 'watch-heap':
        return watchHeap();
      case 'leaks':
        return leaks();
      case 'fill':
        return fill();
      case 'release':
        return releaseAll(order.afterMs);
      case 'boot':
        return (await boot?.end()) ?? [];
    }
  });
  tell({ type: 'begun' });
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

function followRequests({
  requests,
  onHeld,
}: {
  readonly requests: Map<ServerResponse, Unanswered>;
  readonly onHeld: (id: string) => void;
}): void {
  subscribe('http.server.request.start', (message) => {
    const { request, response } = message as Exchange;
    requests.set(response, { method: request.method ?? '', path: request.url ?? '' });
    response.once('close', () => requests.delete(response));
    const id = request.headers[holdHeader];
    if (typeof id !== 'string') return;
    holdBack(response);
    onHeld(id);
  });
  subscribe('http.server.response.finish', (message) => {
    requests.delete((message as Exchange).response);
  });
}

/** What ends the answers that are held back. */
let heldBack: (() => void)[] = [];
/** After which they end in any case, ms. */
const longestHold = 120_000;

/** As an app is slow that waits for its database before it ends its answer. */
function holdBack(response: ServerResponse): void {
  const { end } = response;
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  heldBack.push(release);
  const late = setTimeout(release, longestHold);
  response.once('close', () => clearTimeout(late));
  response.end = (...given: unknown[]) => {
    void released.then(() => Reflect.apply(end, response, given));
    return response;
  };
}

function releaseAll(afterMs: number): null {
  const all = heldBack;
  heldBack = [];
  setTimeout(() => {
    for (const release of all) release();
  }, afterMs);
  return null;
}

interface Endings {
  readonly onHandler: (signal: string) => void;
  readonly onExit: (by: 'process.exit' | 'process.abort' | 'process.kill') => void;
  readonly onCut: () => void;
}

function followEndings({ onHandler, onExit, onCut }: Endings): void {
  const host: NodeJS.EventEmitter = process;
  host.on('newListener', (name: unknown) => {
    if (name === 'SIGTERM' || name === 'SIGINT') onHandler(name);
  });
  const { exit, abort, kill } = process;
  process.exit = (code) => {
    onExit('process.exit');
    return exit.call(process, code);
  };
  process.abort = () => {
    onExit('process.abort');
    return abort.call(process);
  };
  process.kill = (pid, signal) => {
    if (pid === process.pid && signal !== 0) onExit('process.kill');
    return kill.call(process, pid, signal);
  };
  for (const name of ['node:http', 'node:https'] as const) {
    const { Server } = createRequire(import.meta.url)(name) as typeof import('node:http');
    const { closeAllConnections } = Server.prototype;
    Server.prototype.closeAllConnections = function (this: InstanceType<typeof Server>) {
      onCut();
      return closeAllConnections.call(this);
    };
  }
}

/** Takes orders, a line each, and answers each with a line. The connection keeps no process running. */
function obey(path: string, handle: (order: Order) => unknown): void {
  const socket = connect(path);
  socket.unref();
  socket.on('error', () => {});
  socket.setEncoding('utf8');
  socket.write(`${JSON.stringify({ pid: process.pid })}\n`);
  let rest = '';
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) void answer(JSON.parse(line) as Order & { readonly id: number });
  });
  const answer = async ({ id, ...order }: Order & { readonly id: number }): Promise<void> => {
    const result = await Promise.resolve(order as Order)
      .then(handle)
      .catch(() => null);
    socket.write(`${JSON.stringify({ id, result: result ?? null })}\n`);
  };
}
