import { exited, forkFailed } from './death.js';
import type { Event } from './events.js';
import { forkDue } from './fork.js';
import { beat, extendStart, forgiveMissedTime, killSilent, pingDue } from './health.js';
import type { Millis, State } from './model.js';
import { type Policy, tickInterval } from './policy.js';
import { chain, chainAll, type Result } from './result.js';
import { failed, forked, ready, start } from './start.js';
import { reportDue } from './status.js';
import { closed, cut, drained, endIfEmpty, releaseIfClosed, stop, stopDeadlines } from './stop.js';

/**
 * The master's whole policy: what follows from an event. It knows no process, clock or log, so the same inputs
 * always give the same outputs.
 *
 * @param now the monotonic clock, ms
 */
export function step(state: State, event: Event, now: Millis, policy: Policy): Result {
  if (state.life.phase === 'ended') return [state, []];
  const answered = chain(answer(state, event, now, policy), releaseIfClosed);
  return chain(answered, (next) => endIfEmpty(next, now));
}

/** When the master has to look at the clock next, ms on the same clock; null once there is nothing to wait for. */
export function nextDeadline(state: State, policy: Policy): Millis | null {
  if (state.life.phase === 'idle' || state.life.phase === 'ended') return null;
  const forks = state.slots.flatMap(({ forkAt }) => (forkAt === null ? [] : [forkAt]));
  const boots = state.workers.flatMap((worker) => (worker.phase === 'starting' ? [worker.deadline] : []));
  const ping = policy.pingInterval === null ? [] : [state.timers.pingAt];
  const stop = state.life.phase === 'stopping' && state.life.killedAt === null ? [state.life.deadline] : [];
  return Math.min(state.tickedAt + tickInterval, ...forks, ...boots, ...ping, ...stop);
}

function answer(state: State, event: Event, now: Millis, policy: Policy): Result {
  switch (event.type) {
    case 'start':
      return start(state, now, policy);
    case 'forked':
      return forked(state, event.key, event.pid);
    case 'fork-failed':
      return forkFailed(state, event, now, policy);
    case 'ready':
      return ready(state, event.key, event.urls, now);
    case 'failed':
      return failed(state, event.key, event.failure);
    case 'beat':
      return beat(state, event, now);
    case 'cut':
      return cut(state, event);
    case 'closed':
      return closed(state, event.key);
    case 'drained':
      return drained(state, event.key, now);
    case 'exited':
      return exited(state, event, now, policy);
    case 'stop':
      return stop(state, event, now, policy);
    case 'tick':
      return tick(state, now, policy);
  }
}

function tick(state: State, now: Millis, policy: Policy): Result {
  if (state.life.phase === 'idle') return [state, []];
  return chainAll(state, [
    (next) => forgiveMissedTime(next, now, policy),
    (next) => killSilent(next, now, policy),
    (next) => stopDeadlines(next, now),
    (next) => forkDue(next, now, policy),
    (next) => extendStart(next, now),
    (next) => pingDue(next, now, policy),
    (next) => reportDue(next, now, policy),
  ]);
}
