import type { Millis } from '../protocol/limits.js';
import { tickInterval } from '../protocol/limits.js';
import { autoscale, queueRead } from './autoscale.js';
import { balance } from './balance.js';
import { askWhileSoaking, soakDeadlines } from './canary.js';
import { cellDeadlines, cellEvent, isOfCell, keepCell, settleCell } from './cell.js';
import { forgiveStall } from './clock-stall.js';
import { costly } from './costs.js';
import { current, exited, failed, forkFailed } from './deaths.js';
import type { Effect } from './effects.js';
import type { Event } from './events.js';
import { judge, treat } from './health.js';
import { leaked } from './leaks.js';
import {
  alone,
  closed,
  cut,
  drained,
  endIfEmpty,
  extendStart,
  forked,
  leavingDeadline,
  ready,
  releaseIfClosed,
  retire,
  start,
  stop,
  stopDeadlines,
  waits,
} from './lifecycle.js';
import { memory } from './memory.js';
import { mirrorDeadlines, mirrorOpened, renewMirror } from './mirror-stage.js';
import { blockDeadlines, countTraffic, forgetSuspects } from './poison.js';
import type { Policy } from './policy.js';
import { recycle } from './recycle.js';
import { abort, advanceReload, judgeCanary, mirroredOnce, probed, reload } from './reload.js';
import { forkDue, restart, scale, settleSlots, settleSpares, spareBooted, spareDeadlines } from './slots.js';
import { stalled } from './stalls.js';
import type { Life, State, Worker } from './state.js';
import { reportDue } from './status.js';
import { captured, excused, heartbeat, keepLimits, silenceDeadline, watchSilence } from './timeouts.js';
import { Transaction } from './transaction.js';
import { pingDeadlines, pingDue, proveDue, proved } from './watchdog.js';

/**
 * The master's whole policy: what follows from an event. It knows no process, clock or log, so the same inputs
 * always give the same outputs.
 *
 * @param now the monotonic clock, ms
 * @returns the new state, and what is to be done about it
 */
export function step(
  state: State,
  event: Event,
  now: Millis,
  policy: Policy,
): readonly [State, readonly Effect[]] {
  const t = new Transaction(state, now, policy);
  if (isOfCell(t.state, event)) cellEvent(t, event);
  else answer(t, event);
  if (!movesNobody(t.state, event)) reconcile(t);
  releaseIfClosed(t);
  endIfEmpty(t);
  return [t.state, t.effects];
}

/**
 * A heartbeat changes what is known of its worker, and nothing that a slot is filled or emptied for, and it brings no
 * deadline nearer; but for the canary's own, by which it is judged. With many workers there is hardly any other event.
 */
export function movesNobody({ reload }: State, event: Event): boolean {
  return event.type === 'heartbeat' && (reload?.stage.name !== 'soak' || reload.stage.key !== event.key);
}

/** A pass fills, empties or moves on everything that it can at once: a handful of passes settles any service. */
const mostPasses = 100;

/**
 * What follows from how things are now, whichever event brought it about: pass after pass, until one changes nothing.
 * Forks that are due come after all that might make them needless, and spares after everything else has settled.
 */
function reconcile(t: Transaction): void {
  for (let pass = 0; pass < mostPasses; pass++) {
    const before = t.changes;
    judgeCanary(t);
    settleSlots(t);
    advanceReload(t);
    forkDue(t);
    if (t.changes === before) settleSpares(t);
    if (t.changes === before) settleCell(t);
    if (t.changes === before) return;
  }
  throw new Error(`the core does not settle within ${mostPasses} passes: this is a bug in rom-agent`);
}

/** When the master has to look at the clock next, ms on the same clock; null once there is nothing to wait for. */
export function nextDeadline(state: State, policy: Policy): Millis | null {
  if (state.life.phase === 'idle' || state.life.phase === 'ended') return null;
  let nearest = state.tickedAt + tickInterval;
  for (const { forkAt } of state.slots) if (forkAt !== null && forkAt < nearest) nearest = forkAt;
  for (const worker of state.workers) nearest = Math.min(nearest, workerDeadline(worker, policy));
  const stage = state.reload?.stage;
  const soak = stage?.name === 'soak' ? soakDeadlines(stage, state.tickedAt) : [];
  const mirror = stage?.name === 'mirror' ? mirrorDeadlines(stage) : [];
  const stop = lifeDeadlines(state.life);
  const others = [...pingDeadlines(state, policy), ...spareDeadlines(state), ...blockDeadlines(state)];
  const cell = cellDeadlines(state, policy);
  return Math.min(nearest, ...soak, ...mirror, ...others, ...cell, ...stop);
}

function lifeDeadlines(life: Life): readonly Millis[] {
  if (life.phase === 'serving') return life.leaving === null ? [] : [life.leaving.until];
  return life.phase === 'stopping' && life.killedAt === null ? [life.deadline] : [];
}

function workerDeadline(worker: Worker, policy: Policy): Millis {
  const silence = silenceDeadline(worker, policy);
  const isLimited = worker.phase === 'starting' || worker.phase === 'draining';
  return isLimited ? Math.min(worker.deadline, silence) : silence;
}

function answer(t: Transaction, event: Event): void {
  switch (event.type) {
    case 'start':
      return start(t, event);
    case 'alone':
      return alone(t);
    case 'retire':
      return retire(t, event);
    case 'forked':
      return forked(t, event);
    case 'fork-failed':
      return forkFailed(t, event);
    case 'waits':
      return waits(t, event);
    case 'ready':
      return ready(t, event);
    case 'failed':
      return failed(t, event);
    case 'heartbeat':
      countTraffic(t, event.heartbeat);
      heartbeat(t, event);
      return balance(t);
    case 'cut':
      return cut(t, event);
    case 'closed':
      return closed(t, event);
    case 'probed':
      return probed(t, event);
    case 'mirror-opened':
      return mirrorOpened(t, event);
    case 'mirrored':
      return mirroredOnce(t, event);
    case 'reload':
      return reload(t, event);
    case 'abort':
      return abort(t, event);
    case 'scale':
      return scale(t, event);
    case 'restart':
      return restart(t, event);
    case 'drained':
      return drained(t, event);
    case 'exited':
      return exited(t, event);
    case 'stop':
      return stop(t, event);
    case 'spare':
      return spareBooted(t, event);
    case 'current':
      return current(t, event);
    case 'captured':
      return captured(t, event);
    case 'proved':
      return proved(t, event);
    case 'excused':
      return excused(t, event);
    case 'stalled':
      return stalled(t, event);
    case 'leaks':
      return leaked(t, event);
    case 'costs':
      return costly(t, event);
    case 'memory':
      return memory(t, event);
    case 'queue':
      return queueRead(t, event);
    case 'tick':
      return tick(t);
  }
}

function tick(t: Transaction): void {
  const { life } = t.state;
  if (life.phase === 'idle' || life.phase === 'ended') return;
  forgiveStall(t, nextDeadline(t.state, t.policy) ?? t.now);
  keepLimits(t);
  keepCell(t);
  watchSilence(t);
  judge(t);
  treat(t);
  recycle(t);
  autoscale(t);
  leavingDeadline(t);
  stopDeadlines(t);
  askWhileSoaking(t);
  renewMirror(t);
  extendStart(t);
  forgetSuspects(t);
  proveDue(t);
  pingDue(t);
  reportDue(t);
}
