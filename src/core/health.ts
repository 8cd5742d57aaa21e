import type { Event } from './events.js';
import type { Life, Millis, State, Worker } from './model.js';
import { type Policy, tickInterval } from './policy.js';
import { chain, chainAll, findWorker, log, type Result, replaceWorker, unchanged } from './result.js';
import { rollBack, trialOf } from './rollback.js';
import { killed } from './slots.js';
import type { Beat } from './stats.js';
import { extendDue } from './status.js';
import { progress } from './stop.js';

/** A sign of life. One from a worker that boots or dies says nothing. */
export function beat(state: State, { key, beat }: Extract<Event, { type: 'beat' }>, now: Millis): Result {
  const worker = findWorker(state, key);
  if (worker?.phase !== 'ready' && worker?.phase !== 'draining') return unchanged(state);
  const next = replaceWorker(state, { ...worker, beat, beatAt: now });
  if (worker.phase === 'ready') return unchanged({ ...next, answeredAt: now });
  return moved(worker.beat, beat) ? progress(next, now) : unchanged(next);
}

/** Time that the master itself missed (stopped, starved, asleep) must not be held against the workers. */
export function forgiveMissedTime(state: State, now: Millis, policy: Policy): Result {
  const missed = now - state.tickedAt - tickInterval;
  const ticked = { ...state, tickedAt: now };
  if (missed < tickInterval / 2) return unchanged(ticked);
  const workers = state.workers.map((worker) => postponed(worker, { missed, now, policy }));
  return [
    {
      ...ticked,
      ...soakPostponed(state, missed),
      workers,
      answeredAt: Math.min(now, state.answeredAt + missed),
    },
    [log('warn', 'the master itself stood still', { missed: Math.round(missed) })],
  ];
}

/** Kills workers that do not listen in time, and those that have gone silent. */
export function killSilent(state: State, now: Millis, policy: Policy): Result {
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

/** The watchdog's ping, which is withheld when no worker has answered for longer than a replacement takes. */
export function pingDue(state: State, now: Millis, policy: Policy): Result {
  const { pingInterval } = policy;
  if (pingInterval === null || now < state.timers.pingAt) return unchanged(state);
  const next = { ...state, timers: { ...state.timers, pingAt: now + pingInterval } };
  return mayPing(state, now, policy) ? [next, [{ type: 'notify', watchdog: true }]] : unchanged(next);
}

function mayPing({ life, answeredAt }: State, now: Millis, { hangTimeout, bootTimeout }: Policy): boolean {
  return life.phase !== 'serving' || now - answeredAt <= hangTimeout + bootTimeout;
}

function verdict(
  worker: Worker,
  { life, now, policy }: { life: Life; now: Millis; policy: Policy },
): string | null {
  const { hangTimeout, bootTimeout } = policy;
  switch (worker.phase) {
    case 'starting':
      return now < worker.deadline ? null : `did not listen within ${seconds(bootTimeout)}`;
    case 'draining':
      if (now >= worker.deadline && !endsWithAll(life, worker.deadline))
        return 'is over the limit of its drain';
      return hung(now - worker.beatAt, hangTimeout);
    case 'ready':
      return hung(now - worker.beatAt, hangTimeout);
    case 'dying':
      return null;
  }
}

/** Those that drain for the stop have one limit together: see stopDeadlines. */
function endsWithAll(life: Life, deadline: Millis): boolean {
  return life.phase === 'stopping' && deadline >= life.deadline;
}

function hung(silent: Millis, hangTimeout: Millis): string | null {
  return silent < hangTimeout ? null : `hung: silent for ${seconds(silent)}`;
}

/** A generation on trial is not given the time until its worker is gone. */
function kill(state: State, { worker, why, now }: { worker: Worker; why: string; now: Millis }): Result {
  const ended: Result = [
    replaceWorker(state, killed(worker, why)),
    [
      log('warn', `worker ${worker.slot} ${why}; killing it`, { workerPid: worker.pid }),
      { type: 'kill', key: worker.key },
    ],
  ];
  const reload = trialOf(state, worker);
  if (reload === null || worker.phase === 'draining') return ended;
  const reason = `worker ${worker.slot} of generation ${reload.target} ${why}`;
  return chain(ended, (next) => rollBack(next, reason, now));
}

/** Never past what a worker of this moment would get: its news may have been read before the missed time was seen. */
function postponed(
  worker: Worker,
  { missed, now, policy }: { missed: Millis; now: Millis; policy: Policy },
): Worker {
  switch (worker.phase) {
    case 'starting':
      return { ...worker, deadline: Math.min(now + policy.bootTimeout, worker.deadline + missed) };
    case 'draining': {
      const beatAt = Math.min(now, worker.beatAt + missed);
      return { ...worker, beatAt, deadline: worker.deadline + missed };
    }
    case 'ready':
      return { ...worker, beatAt: Math.min(now, worker.beatAt + missed) };
    case 'dying':
      return worker;
  }
}

/** A canary is watched over time in which the master looked. */
function soakPostponed({ reload }: State, missed: Millis): Partial<State> {
  if (reload?.stage.name !== 'soak') return {};
  const { until, probeBy } = reload.stage;
  const stage = {
    ...reload.stage,
    until: until + missed,
    probeBy: probeBy === null ? null : probeBy + missed,
  };
  return { reload: { ...reload, stage } };
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

function seconds(ms: Millis): string {
  return `${Math.round(ms / 100) / 10} s`;
}
