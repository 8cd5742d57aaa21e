import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { connectControl } from '../../src/control/client.js';
import type { ClusterStats } from '../../src/protocol/stats.js';
import { type Connection, openConnection, type Target } from '../support/http-connection.js';
import type { RawResponse } from '../support/http-reader.js';
import { describeLoad, type Load, type LoadReport } from '../support/load.js';
import { ask, freePort } from '../support/net.js';
import { type Daemon, fixtures, startDaemon } from '../support/process.js';
import { waitFor } from '../support/wait.js';

/** A machine that is busy with other things takes this long at times, ms. */
export const patience = 300_000;

/** Settings with which no worker is taken for slow or hung because the machine is. */
export const patient: Readonly<Record<string, string>> = {
  ROM_AGENT_HANG_TIMEOUT: '5m',
  ROM_AGENT_HEALTH_SLOW_DELAY: '30s',
};

/**
 * For a service that is stopped under load. A client that gets no CPU for longer than the linger finds its idle connection
 * closed under its hands, as with every server of HTTP/1.1; clients that come again keep no drain waiting.
 */
export const patientLinger: Readonly<Record<string, string>> = { ROM_AGENT_LINGER: '20s' };

/** The app with a route for every misbehaviour; see the file. */
export const workbench: string = fixture('integration/workbench.mjs');

export function fixture(path: string): string {
  return join(fixtures, path);
}

export interface ServeOptions {
  /** Absolute path of a module; without it the built-in app is served. */
  readonly app?: string;
  readonly flags?: readonly string[];
  /** Over two workers on a free port of 127.0.0.1. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A daemon that serves. */
export interface Service {
  readonly daemon: Daemon;
  readonly port: number;
  /** The operational routes: a hosted app has them under a prefix. */
  readonly routes: string;
  /** Path of its control socket, which tells more than the routes; null: it has none of its own. */
  readonly control?: string;
}

/** Starts the daemon and waits until all of its workers listen. */
export async function serve(t: TestContext, options: ServeOptions = {}): Promise<Service> {
  const service = await begin(t, options);
  await serving(service.daemon);
  return service;
}

/** Starts the daemon and does not wait. */
export async function begin(
  t: TestContext,
  { app, flags = [], env = {}, cwd }: ServeOptions = {},
): Promise<Service> {
  const port = Number(env.PORT ?? (await freePort('127.0.0.1')));
  const routes = app === undefined ? '' : '/_ops';
  const control = env.ROM_AGENT_CONTROL_SOCKET ?? join(temporaryDirectory(t), 'control.sock');
  const daemon = startDaemon({
    t,
    args: ['serve', ...(app === undefined ? [] : [app]), ...flags],
    env: {
      HOST: '127.0.0.1',
      WORKERS: '2',
      // A busy machine makes stalls; those who want to hear of them say so.
      ROM_AGENT_HEALTH_STALL_REPORT: '0',
      ...(routes === '' ? {} : { ROM_AGENT_ROUTES_PREFIX: routes }),
      PORT: String(port),
      ROM_AGENT_CONTROL_SOCKET: control,
      ...env,
    },
    ...(cwd === undefined ? {} : { cwd }),
  });
  return { daemon, port, routes, control };
}

export async function serving(daemon: Daemon): Promise<void> {
  await daemon.waitForLine(/"msg":"(serving|running) with/, patience);
}

/** The master's view. */
export async function stats({ port, routes, control }: Service): Promise<ClusterStats> {
  if (control !== undefined) return connectControl({ path: control }).status();
  const { status, json, text } = await ask({ port, path: `${routes}/api/cluster/stats` });
  assert.equal(status, 200, text);
  return json as ClusterStats;
}

/** PIDs of the workers that are ready, by the number of their slot. */
export async function readyPids(service: Service): Promise<number[]> {
  const { workers } = await stats(service);
  return workers.flatMap(({ pid, phase }) => (phase === 'ready' && pid !== null ? [pid] : []));
}

/** Waits until the master says so. */
export function untilStats(
  service: Service,
  what: string,
  until: (stats: ClusterStats) => boolean,
): Promise<ClusterStats> {
  return waitFor(what, () => stats(service), { timeout: patience, until });
}

/** An entry of the JSON log. */
export interface Entry {
  readonly level: string;
  readonly msg: string;
  readonly time: string;
  readonly pid: number;
  readonly [field: string]: unknown;
}

export function entries({ lines }: { readonly lines: readonly string[] }): Entry[] {
  return lines.flatMap((line) => {
    try {
      const entry: unknown = JSON.parse(line);
      return typeof entry === 'object' && entry !== null && 'msg' in entry ? [entry as Entry] : [];
    } catch {
      return [];
    }
  });
}

/** The first `count` entries that match, once they are there. */
export function entriesOf(daemon: Daemon, pattern: RegExp, count: number): Promise<Entry[]> {
  const matching = () => entries(daemon).filter(({ msg }) => pattern.test(msg));
  return waitFor(`${count} entries ${pattern}`, matching, {
    timeout: patience,
    until: (found) => found.length >= count,
  });
}

export function request(path: string, headers = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
}

/** One request on a kept connection. */
export function say(connection: Connection, path: string): Promise<RawResponse> {
  return connection.request(request(path), patience);
}

export function connectTo({ port }: Service): Promise<Connection> {
  return openConnection({ port }, patience);
}

/**
 * A kept connection to each of `count` workers, by PID. Which of them takes a connection is the kernel's choice, so
 * that it takes several at once to meet them all. `path` has to answer with the worker's `pid` in JSON.
 */
export async function connectToEach(
  t: TestContext,
  target: Target,
  { count = 2, path = '/' }: { count?: number; path?: string } = {},
): Promise<Map<number, Connection>> {
  const kept = new Map<number, Connection>();
  const meet = async (): Promise<void> => {
    const connection = await openConnection(target, patience);
    const { body } = await say(connection, path);
    const { pid } = JSON.parse(body) as { pid: number };
    if (kept.has(pid)) connection.close();
    else kept.set(pid, connection);
  };
  t.after(() => {
    for (const connection of kept.values()) connection.close();
  });
  const look = async () => {
    await Promise.all(Array.from({ length: 16 }, meet));
    return kept.size;
  };
  await waitFor('an answer of every worker', look, { timeout: patience, until: (size) => size >= count });
  assert.equal(kept.size, count, 'workers that answer');
  return kept;
}

/** A request whose answer has begun: the workbench writes its PID first and the rest in time. */
export interface Begun {
  readonly pid: number;
  /** The whole answer. Rejects where it is cut. */
  readonly whole: Promise<string>;
}

/** Sends a request on a connection of its own, and waits for the begin of its answer. */
export function begun({ port }: Service, path: string): Promise<Begun> {
  return new Promise((resolve, reject) => {
    const outgoing = get({ host: '127.0.0.1', port, path, agent: false }, (incoming) => {
      const whole = text(incoming);
      whole.catch(() => {});
      incoming.once('data', (first: Buffer) => resolve({ pid: Number(first), whole }));
    });
    outgoing.once('error', reject);
    outgoing.setTimeout(patience, () => outgoing.destroy(new Error(`no answer within ${patience} ms`)));
  });
}

/** Waits until the address refuses connections: the listeners are closed, so the workers drain. */
export async function refused(target: Target): Promise<void> {
  const connected = async () => {
    const connection = await openConnection(target, patience);
    connection.close();
    return true;
  };
  await waitFor('the listeners to close', () => connected().catch(() => false), {
    timeout: patience,
    until: (is) => !is,
  });
}

/** SIGTERM, the end with status 0, and nothing left. */
export async function stopped({ daemon }: Service, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  daemon.kill(signal);
  await ended(daemon, 0);
}

/** The end with this status, and nothing left. */
export async function ended(daemon: Daemon, code: number, timeout = patience): Promise<void> {
  assert.deepEqual(await daemon.waitForExit(timeout), { code, signal: null }, daemon.output());
  await nothingLeft(daemon);
}

export async function nothingLeft(daemon: Daemon, timeout = patience): Promise<void> {
  await waitFor('the end of every process', () => daemon.group(), {
    timeout,
    until: (pids) => pids.length === 0,
  });
}

/** Stops the load and checks that nothing of it was lost. */
export async function lostNothing(load: Load): Promise<LoadReport> {
  const report = await load.stop();
  assert.equal(report.failed, 0, describeLoad(report));
  assert.equal(report.idleResets, 0, describeLoad(report));
  return report;
}

/** What warnings and errors say, but for what only says that the machine is busy with other things. */
export function problems(daemon: { readonly lines: readonly string[] }): string[] {
  return warnings(daemon).map(({ msg }) => msg);
}

/** The entries of such messages. */
export function warnings(daemon: { readonly lines: readonly string[] }): Entry[] {
  return entries(daemon).filter(
    ({ level, msg }) => /warn|error|fatal/.test(level) && !ofTheMachine.test(msg),
  );
}

const ofTheMachine = /^master event loop stalled for|^worker \d+ is degraded: /;

/** A directory that is gone after the test. Others may enter it. */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-integration-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
