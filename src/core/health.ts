import type { Event } from './events.js';
import type { Millis, State, Worker } from './model.js';
import { type Policy, tickInterval } from './policy.js';
import { chainAll, findWorker, log, type Result, replaceWorker, unchanged } from './result.js';
import type { Beat } from './stats.js';
import { extendDue } from './status.js';
import { killed, progress } from './stop.js';

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
    { ...ticked, workers, answeredAt: Math.min(now, state.answeredAt + missed) },
    [log('warn', 'the master itself stood still', { missed: Math.round(missed) })],
  ];
}

/** Kills workers that do not listen in time, and those that have gone silent. */
export function killSilent(state: State, now: Millis, policy: Policy): Result {
  return chainAll(
    state,
    state.workers.map((worker) => (next) => {
      const why = verdict(worker, now, policy);
      return why === null ? unchanged(next) : kill(next, worker, why);
    }),
  );
}

/** A start is given more time by systemd as long as its workers are within their boot limit. */
export function extendStart(state: State, now: Millis): Result {
  return state.life.phase === 'starting' ? extendDue(state, now) : unchanged(state);
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

function verdict(worker: Worker, now: Millis, { hangTimeout, bootTimeout }: Policy): string | null {
  switch (worker.phase) {
    case 'starting':
      return now < worker.deadline ? null : `did not listen within ${seconds(bootTimeout)}`;
    case 'ready':
    case 'draining':
      return now - worker.beatAt < hangTimeout ? null : `hung: silent for ${seconds(now - worker.beatAt)}`;
    case 'dying':
      return null;
  }
}

function kill(state: State, worker: Worker, why: string): Result {
  return [
    replaceWorker(state, killed(worker, why)),
    [
      log('warn', `worker ${worker.slot} ${why}; killing it`, { workerPid: worker.pid }),
      { type: 'kill', key: worker.key },
    ],
  ];
}

/** Never past what a worker of this moment would get: its news may have been read before the missed time was seen. */
function postponed(
  worker: Worker,
  { missed, now, policy }: { missed: Millis; now: Millis; policy: Policy },
): Worker {
  switch (worker.phase) {
    case 'starting':
      return { ...worker, deadline: Math.min(now + policy.bootTimeout, worker.deadline + missed) };
    case 'ready':
    case 'draining':
      return { ...worker, beatAt: Math.min(now, worker.beatAt + missed) };
    case 'dying':
      return worker;
  }
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
