import { type Millis, tickInterval } from '../protocol/limits.js';
import { balance } from './balance.js';
import { askWhileSoaking, soakDeadlines } from './canary.js';
import { forgiveMissedTime } from './clock-stall.js';
import { current, exited, failed, forkFailed } from './deaths.js';
import type { Event } from './events.js';
import { judge, treat } from './health.js';
import {
  closed,
  cut,
  drained,
  endIfEmpty,
  extendStart,
  forked,
  ready,
  releaseIfClosed,
  start,
  stop,
  stopDeadlines,
} from './lifecycle.js';
import { memory } from './memory.js';
import { blockDeadlines, counted, forgetSuspects } from './poison.js';
import type { Policy } from './policy.js';
import { abort, advanceReload, judgeCanary, probed, reload } from './reload.js';
import { chain, chainAll, type Result, unchanged } from './result.js';
import { forkDue, restart, scale, settleSlots, settleSpares, spareBooted, spareDeadlines } from './slots.js';
import type { State, Worker } from './state.js';
import { reportDue } from './status.js';
import { beat, captured, excused, keepLimits, silenceDeadline, watchSilence } from './timeouts.js';
import { pingDeadlines, pingDue, proveDue, proved } from './watchdog.js';
/**
 * The master's whole policy: what follows from an event. It knows no process, clock or log, so the same inputs
 * always give the same outputs.
 *
 * @param now the monotonic clock, ms
 */
export function step(state: State, event: Event, now: Millis, policy: Policy): Result {
  const answered = chain(answer(state, event, now, policy), (next) =>
    movesNobody(next, event) ? unchanged(next) : reconcile(next, now, policy),
  );
  const released = chain(answered, releaseIfClosed);
  return chain(released, (next) => endIfEmpty(next, now));
}

/**
 * A beat changes what is known of its worker, and nothing that a slot is filled or emptied for, and it brings no deadline
 * nearer; but for the canary's own, by which it is judged. With many workers there is hardly any other event.
 */
export function movesNobody({ reload }: State, event: Event): boolean {
  return event.type === 'beat' && (reload?.stage.name !== 'soak' || reload.stage.key !== event.key);
}

/** What follows from how things are by now, whichever event brought it about: until nothing more does. Spares come last. */
function reconcile(state: State, now: Millis, policy: Policy): Result {
  const judged = chain(judgeCanary(state, now, policy), (next) => settleSlots(next, now, policy));
  const advanced = chain(judged, (next) => advanceReload(next, now, policy));
  // After all that might make it needless.
  const forked = chain(advanced, (next) => forkDue(next, now, policy));
  const [next, effects] =
    forked[0] === state ? chain(forked, (next) => settleSpares(next, now, policy)) : forked;
  return next === state ? [next, effects] : chain([next, effects], (after) => reconcile(after, now, policy));
}

/** When the master has to look at the clock next, ms on the same clock; null once there is nothing to wait for. */
export function nextDeadline(state: State, policy: Policy): Millis | null {
  if (state.life.phase === 'idle' || state.life.phase === 'ended') return null;
  let nearest = state.tickedAt + tickInterval;
  for (const { forkAt } of state.slots) if (forkAt !== null && forkAt < nearest) nearest = forkAt;
  for (const worker of state.workers) nearest = Math.min(nearest, workerDeadline(worker, policy));
  const stage = state.reload?.stage;
  const soak = stage?.name === 'soak' ? soakDeadlines(stage, state.tickedAt) : [];
  const stop = state.life.phase === 'stopping' && state.life.killedAt === null ? [state.life.deadline] : [];
  const others = [...pingDeadlines(state, policy), ...spareDeadlines(state), ...blockDeadlines(state)];
  return Math.min(nearest, ...soak, ...others, ...stop);
}

function workerDeadline(worker: Worker, policy: Policy): Millis {
  const silence = silenceDeadline(worker, policy);
  const isLimited = worker.phase === 'starting' || worker.phase === 'draining';
  return isLimited ? Math.min(worker.deadline, silence) : silence;
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
      return chain(beat(counted(state, event.beat, now, policy), event, now, policy), (next) =>
        balance(next, now, policy),
      );
    case 'cut':
      return cut(state, event);
    case 'closed':
      return closed(state, event);
    case 'probed':
      return probed(state, event, now);
    case 'reload':
      return reload(state, event, now, policy);
    case 'abort':
      return abort(state, event, now, policy);
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
      return spareBooted(state, event.key, now);
    case 'current':
      return current(state, event);
    case 'captured':
      return captured(state, event);
    case 'proved':
      return proved(state, event, now);
    case 'excused':
      return excused(state, event, now);
    case 'memory':
      return memory(state, event, now, policy);
    case 'tick':
      return tick(state, now, policy);
  }
}

function tick(state: State, now: Millis, policy: Policy): Result {
  if (state.life.phase === 'idle' || state.life.phase === 'ended') return [state, []];
  const due = nextDeadline(state, policy) ?? now;
  return chainAll(state, [
    (next) => forgiveMissedTime(next, due, { now, policy }),
    (next) => keepLimits(next, now, policy),
    (next) => watchSilence(next, now, policy),
    (next) => judge(next, now, policy),
    (next) => treat(next, now, policy),
    (next) => stopDeadlines(next, now),
    (next) => askWhileSoaking(next, now),
    (next) => extendStart(next, now),
    (next) => forgetSuspects(next, now, policy),
    (next) => proveDue(next, now, policy),
    (next) => pingDue(next, now, policy),
    (next) => reportDue(next, now, policy),
  ]);
}
