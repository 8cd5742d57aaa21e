import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import { renderError } from '../../http/errors.js';
import { isUnder } from '../../http/prefix.js';
import type { ShedReport } from '../../protocol/heartbeat.js';
import type { WorkerSettings } from '../../protocol/settings.js';
import { connectionOf } from '../connections/connections.js';
import { isAnyHttp } from '../connections/follow-server.js';
import type { Servers } from '../connections/servers.js';
import { afterPoll } from '../health/turns.js';
import { waitingFor } from './accept-queue.js';
import { QueueWait, ShedPolicy, type Verdict } from './shed-policy.js';

/**
 * Answers requests with 503, without the app, while this worker is too far behind. Where `[shed]` is off, nothing of this
 * file is loaded.
 */
export interface Shed {
  /** A server is about to listen. Whoever wraps its `emit` later sees requests before. */
  mount(server: Server): void;
  /** A connection was accepted, number `newest`. */
  accepted(newest: number): void;
  report(): ShedReport;
}

export interface ShedSeam {
  readonly settings: Pick<WorkerSettings, 'shed' | 'routesPrefix' | 'health' | 'workersAtStart'>;
  readonly servers: Pick<Servers, 'inFlight' | 'listening'>;
  /** ms */
  readonly now?: () => number;
  /** How long the event loop has waited for events since it began, ms. */
  readonly waited?: () => number;
  /** Calls at the end of each turn of the event loop; wakes nothing up. */
  readonly everyTurn?: (act: () => void) => void;
  /** Connections in the kernel's queues of these servers. */
  readonly waiting?: (servers: readonly Server[]) => number;
}

/** Health checks must reach the app: a balancer would take the worker's whole machine for dead. */
const healthRoutes: readonly string[] = ['/healthz', '/readyz'];
/** How often at most the queue of the listening sockets is looked at, ms; and how many times as long as a look takes. */
const shortestLook = 5;
const looksCost = 50;

export function createShed({ settings, servers, ...seam }: ShedSeam): Shed {
  const { shed, routesPrefix, health, workersAtStart: workers } = settings;
  const { now = () => performance.now(), waited = () => performance.nodeTiming.idleTime } = seam;
  const { everyTurn = afterEachPoll, waiting = waitingFor } = seam;
  const policy = new ShedPolicy(shed);
  const exempt = new Set([...healthRoutes, health.check, health.probe].filter((path) => path !== null));
  const fields = { 'Retry-After': String(Math.ceil(shed.retryAfter / 1_000)), 'Cache-Control': 'no-store' };
  const mounted = new WeakSet<Server>();
  const lookInterval = Math.max(shortestLook, shed.eventLoopDelay / 4);
  let accepted = 0;
  let looked = { accepted: 0, queued: 0 };
  let lookAt = 0;
  let queue: QueueWait | null = null;
  let report: ShedReport = { requests: 0, why: 'late' };
  let follows = false;

  const queuedFor = (at: number, worked: number): number => {
    if (shed.eventLoopDelay === 0 || at < lookAt) return looked.queued;
    // Kept connections do not wait there.
    const isQuiet = accepted === looked.accepted;
    queue ??= new QueueWait(worked, accepted);
    const look = (): number =>
      queue?.look({ worked, waiting: waiting(servers.listening()), accepted, workers }) ?? 0;
    looked = { accepted, queued: isQuiet ? 0 : look() };
    // Measured: 0.1 to 0.9 ms, by the size of the kernel's tables.
    lookAt = at + Math.max(lookInterval, (now() - at) * looksCost);
    return looked.queued;
  };
  const isExempt = ({ url = '', httpVersionMajor, socket }: IncomingMessage): boolean => {
    if (httpVersionMajor < 2 && connectionOf(socket).isOwn) return true;
    if (routesPrefix !== null && isUnder(routesPrefix, url)) return true;
    const end = url.indexOf('?');
    return exempt.has(end === -1 ? url : url.slice(0, end));
  };
  const judge = (request: IncomingMessage, inFlight: number): Verdict => {
    const at = now();
    const worked = at - waited();
    const verdict = policy.judge({ now: at, worked, inFlight, queued: queuedFor(at, worked) });
    if (verdict === 'serve' || isExempt(request)) return 'serve';
    report = { requests: report.requests + 1, why: verdict };
    return verdict;
  };
  const refuse = (request: IncomingMessage, response: ServerResponse): boolean => {
    if (judge(request, servers.inFlight()) === 'serve') return false;
    response.writeHead(503, { 'Content-Type': 'application/json; charset=utf-8', ...fields });
    response.end(answer);
    return true;
  };
  const refuseUpgrade = (request: IncomingMessage, socket: Duplex): boolean => {
    // An upgrade counts in no number of requests in flight.
    if (judge(request, servers.inFlight() + 1) === 'serve') return false;
    const lines = Object.entries({ ...fields, Connection: 'close', 'Content-Length': answer.length });
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    socket.on('error', () => {});
    socket.end(`HTTP/1.1 503 Service Unavailable\r\n${head}\r\n${answer}`, () => socket.destroy());
    return true;
  };
  const takes = ([name, request, other]: readonly unknown[]): boolean => {
    switch (name) {
      case 'request':
      case 'checkContinue':
      case 'checkExpectation':
        return refuse(request as IncomingMessage, other as ServerResponse);
      case 'upgrade':
      case 'connect':
        return refuseUpgrade(request as IncomingMessage, other as Duplex);
      default:
        return false;
    }
  };
  return {
    mount: (server) => {
      if (mounted.has(server) || !isAnyHttp(server)) return;
      mounted.add(server);
      if (!follows) everyTurn(() => policy.turned(now() - waited()));
      follows = true;
      const { emit } = server;
      const emitUnlessShed = function (this: Server, ...event: unknown[]): boolean {
        if (takes(event)) return true;
        return Reflect.apply(emit, this, event);
      };
      Object.defineProperty(server, 'emit', { value: emitUnlessShed, configurable: true, writable: true });
    },
    accepted: (newest) => {
      accepted = newest;
    },
    report: () => report,
  };
}

const answer = renderError(503, 'this service is overloaded; try again later');

function afterEachPoll(act: () => void): void {
  const again = (): void => {
    act();
    afterPoll(again);
  };
  afterPoll(again);
}
