import { toJson } from '../../../src/cli/output.js';
import type { Session } from '../../../src/cli/session.js';
import type { ControlClient } from '../../../src/control/client.js';
import type { ReloadRecord } from '../../../src/protocol/reload-record.js';
import type { ClusterStats, WorkerStats } from '../../../src/protocol/stats.js';

export interface FakeSession extends Session {
  /** What was printed so far. */
  readonly out: () => string;
  readonly warnings: readonly string[];
  /** ms that were slept so far */
  readonly slept: () => number;
  interrupt(): void;
  leave(): void;
  /** Presses a key, where there is a screen. */
  press(key: string): void;
  /** What is on the screen; null where there is none, or where it was closed. */
  readonly screen: () => string | null;
}

/** A session without a daemon, a terminal or a clock: time passes when a command sleeps. */
export function fakeSession(
  client: Partial<ControlClient>,
  options: {
    interactive?: boolean;
    columns?: number;
    rows?: number;
    unicode?: boolean;
    alive?: (slept: number) => boolean;
  } = {},
): FakeSession {
  const { interactive = false, columns = 120, rows = 40, unicode = true, alive = () => false } = options;
  const printed: string[] = [];
  const warnings: string[] = [];
  const interrupt = new AbortController();
  const leave = new AbortController();
  let slept = 0;
  let screen: string | null = null;
  let onKey: (key: string) => void = () => {};
  return {
    client: { config: async () => ({}), ...client } as ControlClient,
    terminal: {
      print: (text) => void printed.push(text),
      printJson: (value, form) => void printed.push(`${toJson(value, form === 'pretty' ? 2 : undefined)}\n`),
      erase: (lines) => void printed.push(`\x1b[${lines}A\r\x1b[J`),
      warn: (sentence) => void warnings.push(sentence),
      interactive,
      columns: () => columns,
      rows: () => rows,
      unicode,
      openScreen: () =>
        interactive
          ? {
              draw: (text) => {
                screen = text;
              },
              onKey: (listener) => {
                onKey = listener;
              },
              close: () => {
                screen = null;
              },
            }
          : null,
      paint: (_, text) => text,
      readerGone: leave.signal,
    },
    controlSocket: '/run/rom-agent/control.sock',
    by: 'alice',
    clock: () => slept,
    sleep: async (ms) => {
      slept += ms;
      await new Promise((resolve) => setImmediate(resolve));
    },
    interrupted: () => interrupt.signal,
    lives: () => alive(slept),
    out: () => printed.join(''),
    warnings,
    slept: () => slept,
    interrupt: () => interrupt.abort(),
    leave: () => leave.abort(),
    press: (key) => onKey(key),
    screen: () => screen,
  };
}

/** Answers one after the other, the last one for good; an Error is thrown. */
export function inTurn<T>(...answers: readonly (T | Error)[]): () => Promise<T> {
  let next = 0;
  return async () => {
    const answer = answers[Math.min(next++, answers.length - 1)];
    if (answer instanceof Error) throw answer;
    return answer as T;
  };
}

export function worker(id: number | null, more: Partial<WorkerStats> = {}): WorkerStats {
  return {
    id,
    pid: 4710 + (id ?? 0),
    phase: 'ready',
    health: 'healthy',
    generation: 3,
    uptimeSeconds: 93,
    restarts: 0,
    heartbeatAgeMs: 412,
    requests: 602,
    requestsPerSecond: 20,
    inFlight: 1,
    connections: 3,
    rssBytes: 63_963_136,
    heapUsedBytes: 9_437_184,
    eventLoopDelayMs: 10.6,
    eventLoopUtilization: 0.042,
    ...more,
  };
}

/** A service of two workers. */
export function stats(more: Partial<ClusterStats> = {}): ClusterStats {
  return {
    status: 'serving',
    kind: 'server',
    mode: 'cluster',
    generation: 3,
    wanted: 2,
    ready: 2,
    restarts: 1,
    requests: 1204,
    requestsPerSecond: 40,
    inFlight: 2,
    master: { pid: 4700, uptimeSeconds: 7_500, version: '0.1.0', node: 'v20.20.2', rssBytes: 52_428_800 },
    workers: [worker(1), worker(2)],
    lastReload: null,
    reloads: [],
    spares: { wanted: 0, ready: 0 },
    deaths: [],
    stalls: [],
    leaks: [],
    poison: [],
    ...more,
  };
}

export function record(more: Partial<ReloadRecord> = {}): ReloadRecord {
  return {
    serial: 12,
    generation: 3,
    from: 2,
    release: '/srv/shop/releases/43/server.js',
    by: 'alice',
    atMs: new Date(2026, 10, 23, 12, 0, 3).getTime(),
    tookMs: 1234,
    steps: [
      { atMs: 0, step: 'begun', worker: null, generation: null, detail: '/srv/shop/releases/43/server.js' },
      { atMs: 12, step: 'forked', worker: 1, generation: 3, detail: '' },
      { atMs: 1234, step: 'verdict', worker: null, generation: null, detail: 'done' },
    ],
    accepted: 31,
    moved: 2,
    lost: 0,
    verdict: 'done',
    reason: null,
    ...more,
  };
}
