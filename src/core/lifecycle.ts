import type { Failure } from '../protocol/death-record.js';
import { extendBy, extendInterval, killGrace, type Millis, reapGrace } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { Effect } from './effects.js';
import type { Event } from './events.js';
import type { Policy } from './policy.js';
import { countRequests, note, replacedBy } from './record.js';
import { stopReload, stuckReload } from './reload.js';
import { chain, chainAll, log, type Result, unchanged } from './result.js';
import { changeSlot, emptySlot, fillSlot } from './slots.js';
import type { State, Stopping, Worker } from './state.js';
import { count, extendDue, secondsLeft, servedSlots, statusLine, tellStatus, total } from './status.js';
import { firstPing } from './watchdog.js';
import { draining, findWorker, isUp, killed, nameOf, replaceWorker } from './workers.js';
/** Forks the first generation. */
export function start(state: State, now: Millis, policy: Policy): Result {
  if (state.life.phase !== 'idle') return unchanged(state);
  const slots = Array.from({ length: policy.workers }, (_, index) => emptySlot(index + 1));
  const started: State = {
    ...state,
    life: { phase: 'starting' },
    slots,
    startedAt: now,
    tickedAt: now,
    timers: {
      extendAt: now + extendInterval,
      ...firstPing(now, policy),
      statusAt: now,
      statisticsAt: now + policy.log.statsInterval,
    },
    traffic: { ...state.traffic, sampledAt: now },
  };
  const forked = chainAll(
    started,
    slots.map(
      ({ id }) =>
        (next) =>
          fillSlot(next, { slot: id }, now, policy),
    ),
  );
  return chain(forked, (next) => tellStatus(next, now, { extend: extendBy }));
}

export function forked(state: State, key: WorkerKey, pid: number): Result {
  const worker = findWorker(state, key);
  return worker === undefined ? unchanged(state) : unchanged(replaceWorker(state, { ...worker, pid }));
}

/** A worker listens. Once it drains or dies, that comes too late to matter; and a spare does not. */
export function ready(state: State, key: WorkerKey, urls: readonly string[], now: Millis): Result {
  const worker = findWorker(state, key);
  if (worker?.phase !== 'starting' || worker.slot === 0) return unchanged(state);
  const vitals = { ...worker.vitals, provedAt: now };
  const serving = replaceWorker(state, { ...worker, vitals, phase: 'ready', since: now, beatAt: now });
  const next = changeSlot(serving, worker.slot, { bootFailures: 0 });
  const level = state.life.phase === 'starting' ? 'debug' : 'info';
  const result: Result = [
    next,
    [log(level, `worker ${worker.slot} is ready`, { tookMs: now - worker.placedAt, workerPid: worker.pid })],
  ];
  const noted = chain(result, (state) => note(state, now, { step: 'ready', worker }));
  return chain(noted, (state) => announce(state, urls, now));
}

/** The start is over once every slot has a worker that listens: only then may systemd be told READY=1. */
function announce(state: State, urls: readonly string[], now: Millis): Result {
  if (state.life.phase !== 'starting') return tellStatus(state, now, {});
  if (servedSlots(state) < state.slots.length) return tellStatus(state, now, {});
  const watchdog = { ...state.watchdog, quorumAt: now };
  const serving: State = { ...state, life: { phase: 'serving' }, watchdog };
  const status = statusLine(serving, now);
  return [
    { ...serving, status },
    [
      { type: 'notify', ready: true, status },
      log('info', `serving with ${count(state.slots.length, 'worker')}`, {
        tookMs: now - state.startedAt,
        urls,
      }),
      { type: 'serving', urls },
    ],
  ];
}

interface Ending {
  readonly why: string;
  readonly exitCode: number;
  readonly errno?: number;
  readonly now: Millis;
  readonly policy: Policy;
}

/** Drains every worker; nothing is forked from here on. */
export function beginStop(state: State, ending: Ending): Result {
  return chain(stopReload(state, ending.why, ending.now), (next) => drainAll(next, ending));
}

function drainAll(state: State, { why, exitCode, errno, now, policy }: Ending): Result {
  const deadline = now + policy.drainTimeout + killGrace;
  const life: Stopping = {
    phase: 'stopping',
    why,
    since: now,
    deadline,
    exitCode,
    released: false,
    killedAt: null,
  };
  const next: State = {
    ...state,
    life,
    slots: state.slots.map((slot) => ({ ...slot, forkAt: null, forkAfter: null })),
    workers: state.workers.map((worker) =>
      isUp(worker) ? draining(worker, { now, deadline, reload: null }) : worker,
    ),
    timers: { ...state.timers, extendAt: now + extendInterval },
  };
  const status = statusLine(next, now);
  const drains = state.workers
    .filter(isUp)
    .map(({ key }): Effect => ({ type: 'drain', key, timeout: policy.drainTimeout, last: true }));
  return [
    { ...next, status },
    [
      { type: 'notify', stopping: true, status, extend: extendBy, ...(errno === undefined ? {} : { errno }) },
      // Why a failed service ends has been said already, as an error.
      log(exitCode === 0 ? 'info' : 'debug', `stopping: ${why}`, { workers: state.workers.length }),
      ...drains,
    ],
  ];
}

/** SIGTERM or the like. A second one is harmless, unless it asks not to wait. */
export function stop(
  state: State,
  event: Extract<Event, { type: 'stop' }>,
  now: Millis,
  policy: Policy,
): Result {
  const { life } = state;
  switch (life.phase) {
    case 'idle':
      return [{ ...state, life: { phase: 'ended', exitCode: 0 } }, [{ type: 'exit', code: 0 }]];
    case 'starting':
    case 'serving':
      return chain(beginStop(state, { why: event.why, exitCode: 0, now, policy }), (next) =>
        event.now ? stop(next, event, now, policy) : unchanged(next),
      );
    case 'stopping': {
      if (event.now && life.killedAt === null) return killAll(state, { life, why: event.why, now });
      const left = secondsLeft(life, now);
      return [state, [log('info', `${event.why}: already stopping, at most ${left} s more`)]];
    }
    case 'ended':
      return unchanged(state);
  }
}

/** A worker is gone that was to go: while the master stops that is progress. */
export function workerLeft(
  state: State,
  { worker, event, now }: { worker: Worker; event: Extract<Event, { type: 'exited' }>; now: Millis },
): Result {
  const { code, signal, oomKills = 0 } = event;
  // How the app ends itself once its connections are gone is its own business.
  const drained = worker.phase === 'draining' && worker.drained;
  // Nor is it news that the others fail like the one that ended the start.
  const alike = state.life.phase === 'stopping' && state.life.exitCode !== 0;
  // One that said why it dies while it served is in the log already.
  const told = worker.failure !== null && state.life.phase !== 'stopping';
  const clean = code === 0 || worker.phase === 'dying' || drained || alike || told;
  const how = signal === null ? `code ${code}` : signal;
  const entry = clean
    ? log('debug', `${nameOf(worker)} is gone`, { workerPid: worker.pid, code, signal })
    : log('warn', `${nameOf(worker)} ended with ${how} while it drained`, {
        workerPid: worker.pid,
        ...(oomKills === 0 ? {} : { oomKills }),
        ...(worker.failure === null ? {} : { reason: worker.failure.message }),
      });
  return chain([state, [entry]], (next) => progress(next, now));
}

/** The worker had to cut connections at the drain's deadline. */
export function cut(state: State, { key, requests, connections }: Extract<Event, { type: 'cut' }>): Result {
  const worker = findWorker(state, key);
  if (worker === undefined) return unchanged(state);
  const message = `${nameOf(worker)} cut what was left at the end of its drain`;
  const told: Result = [state, [log('warn', message, { requests, connections, workerPid: worker.pid })]];
  const counted = chain(told, (next) => countRequests(next, replacedBy(worker), { lost: requests }));
  return chain(counted, (next) => unchanged(replaceWorker(next, emptied(worker))));
}

export function closed(
  state: State,
  { key, inFlight, accepted }: Extract<Event, { type: 'closed' }>,
): Result {
  const worker = findWorker(state, key);
  if (worker?.phase !== 'draining') return unchanged(state);
  const beat = worker.beat === null ? null : { ...worker.beat, inFlight, accepted };
  const next = replaceWorker(state, { ...worker, beat, closed: true });
  return countRequests(next, worker.reload, { moved: inFlight });
}

/** Once the last listener is closed, the workers may answer whom they kept waiting. */
export function releaseIfClosed(state: State): Result {
  const { life, workers } = state;
  if (life.phase !== 'stopping' || life.released) return unchanged(state);
  if (!workers.every((worker) => worker.phase === 'draining' && worker.closed)) return unchanged(state);
  const releases = workers.map(({ key }): Effect => ({ type: 'release', key }));
  return [{ ...state, life: { ...life, released: true } }, releases];
}

export function drained(state: State, key: WorkerKey, now: Millis): Result {
  const worker = findWorker(state, key);
  if (worker?.phase !== 'draining') return unchanged(state);
  return progress(replaceWorker(state, { ...emptied(worker), drained: true }), now);
}

/** EXTEND_TIMEOUT_USEC repeats while the drain makes progress, and only then; see sd_notify(3). */
export function progress(state: State, now: Millis): Result {
  return state.life.phase === 'stopping' ? extendDue(state, now) : unchanged(state);
}

/** What is in flight on a worker at its end has been lost: nothing is, once it was answered or cut. */
function emptied<W extends Worker>(worker: W): W {
  return worker.beat === null ? worker : { ...worker, beat: { ...worker.beat, inFlight: 0, current: [] } };
}

export function stopDeadlines(state: State, now: Millis): Result {
  const { life } = state;
  if (life.phase !== 'stopping') return unchanged(state);
  if (life.killedAt === null) {
    return now < life.deadline
      ? unchanged(state)
      : killAll(state, { life, why: 'the drain is over its limit', now });
  }
  if (now - life.killedAt < reapGrace) return unchanged(state);
  const pids = state.workers.map(({ pid }) => pid);
  return [
    { ...state, workers: [] },
    [log('error', 'killed workers are still there; leaving them', { pids })],
  ];
}

/** The end, once no worker is left. */
export function endIfEmpty(state: State, now: Millis): Result {
  const { life } = state;
  if (life.phase !== 'stopping' || state.workers.length > 0) return unchanged(state);
  const tookMs = now - life.since;
  return [
    { ...state, life: { phase: 'ended', exitCode: life.exitCode } },
    [log('info', 'stopped', { tookMs, exitCode: life.exitCode }), { type: 'exit', code: life.exitCode }],
  ];
}

function killAll(state: State, { life, why, now }: { life: Stopping; why: string; now: Millis }): Result {
  const kills = state.workers.map(({ key }): Effect => ({ type: 'kill', key }));
  const pids = state.workers.map(({ pid }) => pid);
  const workers = state.workers.map((worker) => killed(worker, why));
  return [
    { ...state, workers, life: { ...life, killedAt: now } },
    [
      log('warn', `${why}: killing the workers that are left`, { pids, inFlight: total(state, 'inFlight') }),
      ...kills,
    ],
  ];
}

export function giveUpStart(
  state: State,
  { failure, now, policy }: { failure: Failure; now: Millis; policy: Policy },
): Result {
  const fields = failure.stack === undefined ? undefined : { stack: failure.stack };
  const stopped = beginStop(state, {
    why: failure.message,
    exitCode: failure.exitCode,
    ...(failure.errno === undefined ? {} : { errno: failure.errno }),
    now,
    policy,
  });
  return chain([state, [log('error', `cannot start: ${failure.message}`, fields)]], () => stopped);
}

/**
 * systemd gives more time to a start or a reload as long as that gets on. A first attempt does, within its own limit; what
 * is tried again may fail for ever, and TimeoutStartSec= is to end it then.
 */
export function extendStart(state: State, now: Millis): Result {
  const getsOn = state.life.phase === 'starting' ? isFirstAttempt(state) : isReloading(state);
  return getsOn ? extendDue(state, now) : unchanged(state);
}

function isFirstAttempt({ slots, workers }: State): boolean {
  const again = new Set(slots.filter(({ restarts }) => restarts > 0).map(({ id }) => id));
  return workers.some(({ phase, slot }) => phase === 'starting' && !again.has(slot));
}

function isReloading(state: State): boolean {
  return state.reload !== null && stuckReload(state) === null;
}
