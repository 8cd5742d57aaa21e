import type { Event } from './events.js';
import type { Life, Millis, State, Worker } from './model.js';
import { paced } from './pace.js';
import type { Policy } from './policy.js';
import { chain, chainAll, findWorker, log, type Result, replaceWorker, unchanged } from './result.js';
import { rollBack, trialOf } from './rollback.js';
import { heard, seconds, silentSince } from './silence.js';
import type { Beat } from './stats.js';
import { extendDue } from './status.js';
import { progress } from './stop.js';
import { killed, nameOf } from './worker.js';

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
    case 'ready':
      return heard(state, { worker, beat: event.beat, now, policy });
    case 'draining': {
      const vitals = { ...worker.vitals, pace: paced(worker.vitals.pace, event.beat.requests, now) };
      const next = replaceWorker(state, { ...worker, beat: event.beat, beatAt: now, vitals });
      return moved(worker.beat, event.beat) ? progress(next, now) : unchanged(next);
    }
  }
}

/** Kills workers that do not listen in time, and those that do not end in time. */
export function keepLimits(state: State, now: Millis, policy: Policy): Result {
  return chainAll(
    state,
    state.workers.map(({ key }) => (next) => {
      // One that was killed may have taken others along.
      const worker = findWorker(next, key);
      const why = worker === undefined ? null : verdict(worker, { life: next.life, now, policy });
      return worker === undefined || why === null ? unchanged(next) : kill(next, { worker, why, now });
    }),
  );
}

/** systemd gives more time to a start or a reload as long as it keeps within the limits that it has of its own. */
export function extendStart(state: State, now: Millis): Result {
  const isUnderWay = state.life.phase === 'starting' || state.reload !== null;
  return isUnderWay ? extendDue(state, now) : unchanged(state);
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

/** A generation on trial is not given the time until its worker is gone. */
function kill(state: State, { worker, why, now }: { worker: Worker; why: string; now: Millis }): Result {
  const ended: Result = [
    replaceWorker(state, killed(worker, why)),
    [
      log('warn', `${nameOf(worker)} ${why}; killing it`, { workerPid: worker.pid }),
      { type: 'kill', key: worker.key },
    ],
  ];
  const reload = trialOf(state, worker);
  if (reload === null || worker.phase === 'draining') return ended;
  const reason = `${nameOf(worker)} of generation ${reload.target} ${why}`;
  return chain(ended, (next) => rollBack(next, reason, now));
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
