import type { Beat } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import { keepEven } from './balance.js';
import { giveUpStart } from './death.js';
import type { Death } from './deaths.js';
import { died } from './died.js';
import type { Event } from './events.js';
import type { Life, State, Worker } from './model.js';
import { paced } from './pace.js';
import { ownPolicy, type Policy } from './policy.js';
import { stuckReload } from './reload.js';
import { chain, eachWorker, findWorker, log, type Result, replaceWorker, unchanged } from './result.js';
import { trialOf } from './rollback.js';
import { heard, seconds, silentSince } from './silence.js';
import { extendDue } from './status.js';
import { progress } from './stop.js';
import { draining, killed, nameOf } from './worker.js';

/** A sign of life. One from a worker that boots or dies says nothing. */
export function beat(
  state: State,
  event: Extract<Event, { type: 'beat' }>,
  now: Millis,
  policy: Policy,
): Result {
  const worker = findWorker(state, event.key);
  if (worker === undefined) return unchanged(state);
  switch (worker.phase) {
    case 'starting':
    case 'dying':
      return unchanged(state);
    case 'spare':
    case 'ready': {
      const result = heard(state, { worker, beat: event.beat, now, policy });
      if (worker.beat?.kept === event.beat.kept) keepEven(state.workers, result[0].workers);
      return result;
    }
    case 'draining': {
      const vitals = { ...worker.vitals, pace: paced(worker.vitals.pace, event.beat.requests, now) };
      const next = replaceWorker(state, { ...worker, beat: event.beat, beatAt: now, vitals });
      return moved(worker.beat, event.beat) ? progress(next, now) : unchanged(next);
    }
  }
}

/** Kills workers that do not listen in time, and those that do not end in time. */
export function keepLimits(state: State, now: Millis, policy: Policy): Result {
  return eachWorker(state, (next, worker) => {
    const why = verdict(worker, { life: next.life, now, policy: ownPolicy(policy, worker) });
    return why === null ? unchanged(next) : kill(next, { worker, why, now, policy });
  });
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

function verdict(
  worker: Worker,
  { life, now, policy }: { life: Life; now: Millis; policy: Policy },
): string | null {
  const { hangTimeout, bootTimeout } = policy;
  if (worker.phase === 'starting') {
    const what = worker.slot === 0 ? 'boot' : 'listen';
    return now < worker.deadline ? null : `did not ${what} within ${seconds(bootTimeout)}`;
  }
  if (worker.phase !== 'draining') return null;
  if (now >= worker.deadline && !endsWithAll(life, worker.deadline)) return 'is over the limit of its drain';
  const silent = now - silentSince(worker);
  return silent < hangTimeout ? null : `hung: silent for ${seconds(silent)}`;
}

/** Those that drain for the stop have one limit together: see stopDeadlines. */
function endsWithAll(life: Life, deadline: Millis): boolean {
  return life.phase === 'stopping' && deadline >= life.deadline;
}

/**
 * One that drains has been replaced. Of one that starts the death counts from here on, as that of one that hangs: a process
 * in an uninterruptible sleep (state D) may take for ever to go. It ends the first start.
 */
function kill(
  state: State,
  { worker, why, now, policy }: { worker: Worker; why: string; now: Millis; policy: Policy },
): Result {
  const starts = worker.phase === 'starting';
  const reload = starts ? (trialOf(state, worker)?.target ?? null) : null;
  const leaving = starts ? draining(worker, { now, deadline: now, reload }) : worker;
  const ended: Result = [
    replaceWorker(state, killed(leaving, why)),
    [
      log('warn', `${nameOf(worker)} ${why}; killing it`, { workerPid: worker.pid }),
      { type: 'kill', key: worker.key },
    ],
  ];
  if (!starts) return ended;
  if (state.life.phase === 'starting') {
    const failure = { message: `${nameOf(worker)} ${why}`, exitCode: policy.exits.bootTimeout };
    return chain(ended, (next) => giveUpStart(next, { failure, now, policy }));
  }
  return chain(ended, (next) => died(next, { death: neverListened(worker, why), now, policy }));
}

function neverListened(worker: Worker, cause: string): Death {
  return {
    worker,
    kind: 'boot',
    cause,
    exit: { code: null, signal: null },
    oomKills: 0,
    requests: [],
    stack: worker.failure?.stack ?? null,
    detail: null,
    isOpen: false,
  };
}

function moved(before: Beat | null, after: Beat): boolean {
  return (
    before === null ||
    before.requests !== after.requests ||
    before.inFlight !== after.inFlight ||
    before.connections !== after.connections ||
    before.bytesWritten !== after.bytesWritten
  );
}
