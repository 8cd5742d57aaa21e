import { balance } from './balance.js';
import { askWhileSoaking, judgeCanary, probed, soakDeadlines } from './canary.js';
import { exited, failed, forkFailed } from './death.js';
import type { Event } from './events.js';
import { forkDue } from './fork.js';
import { beat, extendStart, forgiveMissedTime, killSilent, pingDue } from './health.js';
import type { Millis, State } from './model.js';
import { type Policy, tickInterval } from './policy.js';
import { abort, advanceReload, reload } from './reload.js';
import { chain, chainAll, type Result } from './result.js';
import { restart, scale } from './scale.js';
import { settleSlots } from './slots.js';
import { forked, ready, start } from './start.js';
import { reportDue } from './status.js';
import { closed, cut, drained, endIfEmpty, releaseIfClosed, stop, stopDeadlines } from './stop.js';

/**
 * The master's whole policy: what follows from an event. It knows no process, clock or log, so the same inputs
 * always give the same outputs.
 *
 * @param now the monotonic clock, ms
 */
export function step(state: State, event: Event, now: Millis, policy: Policy): Result {
  const answered = chain(answer(state, event, now, policy), (next) => reconcile(next, now, policy));
  const released = chain(answered, releaseIfClosed);
  return chain(released, (next) => endIfEmpty(next, now));
}

/** What follows from how things are by now, whichever event brought it about: until nothing more does. */
function reconcile(state: State, now: Millis, policy: Policy): Result {
  const judged = chain(judgeCanary(state, now, policy), (next) => settleSlots(next, now, policy));
  const [next, effects] = chain(judged, (next) => advanceReload(next, now, policy));
  return next === state ? [next, effects] : chain([next, effects], (after) => reconcile(after, now, policy));
}

/** When the master has to look at the clock next, ms on the same clock; null once there is nothing to wait for. */
export function nextDeadline(state: State, policy: Policy): Millis | null {
  if (state.life.phase === 'idle' || state.life.phase === 'ended') return null;
  const forks = state.slots.flatMap(({ forkAt }) => (forkAt === null ? [] : [forkAt]));
  const limits = state.workers.flatMap((worker) =>
    worker.phase === 'starting' || worker.phase === 'draining' ? [worker.deadline] : [],
  );
  const stage = state.reload?.stage;
  const soak = stage?.name === 'soak' ? soakDeadlines(stage, state.tickedAt) : [];
  const ping = policy.pingInterval === null ? [] : [state.timers.pingAt];
  const stop = state.life.phase === 'stopping' && state.life.killedAt === null ? [state.life.deadline] : [];
  return Math.min(state.tickedAt + tickInterval, ...forks, ...limits, ...soak, ...ping, ...stop);
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
      return failed(state, event, now, policy);
    case 'beat':
      return chain(beat(state, event, now), (next) => balance(next, now, policy));
    case 'cut':
      return cut(state, event);
    case 'closed':
      return closed(state, event);
    case 'probed':
      return probed(state, event, now);
    case 'reload':
      return reload(state, event, now, policy);
    case 'abort':
      return abort(state, event, now);
    case 'scale':
      return scale(state, event, now, policy);
    case 'restart':
      return restart(state, event, now, policy);
    case 'drained':
      return drained(state, event.key, now);
    case 'exited':
      return exited(state, event, now, policy);
    case 'stop':
      return stop(state, event, now, policy);
    case 'spare':
    case 'current':
    case 'captured':
    case 'proved':
    case 'excused':
    case 'memory':
      return [state, []];
    case 'tick':
      return tick(state, now, policy);
  }
}

function tick(state: State, now: Millis, policy: Policy): Result {
  if (state.life.phase === 'idle' || state.life.phase === 'ended') return [state, []];
  return chainAll(state, [
    (next) => forgiveMissedTime(next, now, policy),
    (next) => killSilent(next, now, policy),
    (next) => stopDeadlines(next, now),
    (next) => forkDue(next, now, policy),
    (next) => askWhileSoaking(next, now),
    (next) => extendStart(next, now),
    (next) => pingDue(next, now, policy),
    (next) => reportDue(next, now, policy),
  ]);
}
