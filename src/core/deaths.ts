import type { Millis } from '../protocol/limits.js';
import type { RequestNote } from '../protocol/requests.js';
import type { LogEffect } from './effects.js';
import type { Event } from './events.js';
import type { KeptDeath, State, Worker } from './model.js';
import { log } from './result.js';
import { nameOf } from './worker.js';

/** So many are kept. */
const mostDeaths = 10;

/** A death that nobody asked for. */
export interface Death {
  readonly worker: Worker;
  readonly kind: KeptDeath['kind'];
  readonly cause: string;
  readonly exit: { readonly code: number | null; readonly signal: string | null };
  readonly oomKills: number;
  readonly requests: readonly RequestNote[];
  readonly stack: string | null;
  readonly detail: string | null;
  /** See KeptDeath. */
  readonly isOpen: boolean;
}

/** Keeps it for the stats. */
export function recorded(state: State, death: Death, now: Millis): State {
  const { worker, kind, cause, exit, oomKills, requests, stack, isOpen } = death;
  const kept: KeptDeath = {
    key: worker.key,
    at: now,
    worker: worker.slot,
    pid: worker.pid,
    generation: worker.generation,
    kind,
    cause,
    ...exit,
    uptime: uptime(worker, now),
    lost: lostBy(death),
    requests,
    oomKills,
    stack,
    isOpen,
  };
  return { ...state, lastDeaths: [kept, ...state.lastDeaths].slice(0, mostDeaths) };
}

/** A worker whose death was told before it was gone is gone: how it ended, and what it left unanswered, is known now. */
export function completed(
  state: State,
  worker: Worker,
  { code, signal, oomKills = 0 }: Extract<Event, { type: 'exited' }>,
): State {
  if (!state.lastDeaths.some(({ key }) => key === worker.key)) return state;
  const lastDeaths = state.lastDeaths.map((death): KeptDeath => {
    if (death.key !== worker.key) return death;
    const left = death.isOpen
      ? {
          requests: worker.vitals.lastWord ?? death.requests,
          lost: worker.beat?.inFlight ?? 0,
          isOpen: false,
        }
      : {};
    return { ...death, code, signal, oomKills, ...left };
  });
  return { ...state, lastDeaths };
}

/** What it has in flight, as far as it is known. */
export function requestsOf({ vitals, beat }: Worker): readonly RequestNote[] {
  return vitals.lastWord ?? beat?.current ?? [];
}

const what: Readonly<Record<Death['kind'], (worker: Worker) => string>> = {
  boot: ({ slot }) => (slot === 0 ? 'died before it had booted' : 'died before it listened'),
  crash: () => 'crashed',
  hang: () => 'hung',
};

/** The one entry that says it all. */
export function deathEntry(death: Death, now: Millis, delay: Millis | null): LogEffect {
  const { worker, kind, cause, exit, oomKills, requests, stack, detail } = death;
  return log('error', `${nameOf(worker)} ${what[kind](worker)}: ${cause}`, {
    workerPid: worker.pid,
    // Of one that is about to end the exit is yet to come.
    ...(exit.code === null && exit.signal === null ? {} : exit),
    uptimeSeconds: uptime(worker, now),
    inFlight: lostBy(death),
    ...(requests.length === 0 ? {} : { requests: requests.map(inWords) }),
    ...(oomKills === 0 ? {} : { oomKills }),
    ...(delay === null ? {} : { restartInMs: delay }),
    ...(detail === null ? {} : { detail }),
    ...(stack === null ? {} : { stack }),
  });
}

function inWords({ method, path, age }: RequestNote): string {
  return `${method} ${path} ${Math.round(age / 100) / 10} s`;
}

function lostBy({ worker, requests }: Death): number {
  return Math.max(worker.beat?.inFlight ?? 0, requests.length);
}

function uptime({ forkedAt }: Worker, now: Millis): number {
  return Math.round((now - forkedAt) / 1000);
}
