import { extendBy, extendInterval, killGrace, type Millis, reapGrace } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { Effect } from './effects.js';
import type { Event } from './events.js';
import type { State, Stopping, Worker } from './model.js';
import type { Policy } from './policy.js';
import { countRequests, replacedBy } from './record.js';
import { stopReload } from './reload.js';
import { chain, findWorker, log, type Result, replaceWorker, unchanged } from './result.js';
import { extendDue, secondsLeft, statusLine, total } from './status.js';
import { draining, isUp, killed, nameOf } from './worker.js';

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
