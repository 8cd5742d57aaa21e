import { type Millis, tickInterval } from '../protocol/limits.js';
import { cellPostponed } from './cell.js';
import { mirrorPostponed } from './mirror-stage.js';
import { ownPolicy, type Policy } from './policy.js';
import type { Life, State, Vitals, Worker } from './state.js';
import { captureTime } from './timeouts.js';
import type { Transaction } from './transaction.js';

/** What came while the master was stalled is read first: nobody is judged before. */
const catchUp: Millis = 100;

interface Missed {
  readonly missed: Millis;
  readonly now: Millis;
  readonly policy: Policy;
}

/**
 * Time that the master itself missed (stopped, starved, asleep) must not be held against the workers.
 *
 * @param due when this tick was due, at the latest
 */
export function forgiveStall(t: Transaction, due: Millis): void {
  const { now, policy, state } = t;
  const late = now - Math.max(due, state.tickedAt);
  t.update({ tickedAt: now });
  if (late < Math.min(tickInterval, captureTime(policy)) / 2) return;
  const missed = late + catchUp;
  const { pressure, watchdog, life, workers, cell } = state;
  t.update({
    ...trialPostponed(state, missed),
    life: stopPostponed(life, { missed, now }),
    workers: workers.map((worker) => postponed(worker, { missed, now, policy: ownPolicy(policy, worker) })),
    cell: cellPostponed(cell, { missed, now }),
    pressure: { ...pressure, quietUntil: pressure.quietUntil + missed },
    watchdog: { ...watchdog, quorumAt: past(watchdog.quorumAt, { missed, now }) },
  });
  t.log('warn', `master event loop stalled for ${Math.round(late)} ms; worker deadlines extended`);
}

/** Never past what a worker of this moment would get: its news may have been read before the missed time was seen. */
function postponed(worker: Worker, time: Missed): Worker {
  const { missed, now, policy } = time;
  const seen = { ...worker, vitals: vitalsPostponed(worker.vitals, time) };
  switch (seen.phase) {
    case 'starting':
      return { ...seen, deadline: Math.min(now + longestStart(seen, policy), seen.deadline + missed) };
    case 'draining':
      return { ...seen, heartbeatAt: past(seen.heartbeatAt, time), deadline: seen.deadline + missed };
    case 'spare':
    case 'ready':
      return { ...seen, heartbeatAt: past(seen.heartbeatAt, time) };
    case 'dying':
      return seen;
  }
}

/** What a worker gets that begins to start, or to wait for its port, at this moment. */
function longestStart(
  { waitsFor }: Extract<Worker, { phase: 'starting' }>,
  { bootTimeout, listenWait }: Pick<Policy, 'bootTimeout' | 'listenWait'>,
): Millis {
  return bootTimeout + (waitsFor === null ? 0 : listenWait);
}

function vitalsPostponed(vitals: Vitals, time: Missed): Vitals {
  const { slowSince, provedAt, silence, excusedUntil } = vitals;
  return {
    ...vitals,
    slowSince: slowSince === null ? null : past(slowSince, time),
    provedAt: provedAt === null ? null : past(provedAt, time),
    silence: silence === null ? null : { ...silence, askedAt: past(silence.askedAt, time) },
    // One that had ended before stays ended.
    excusedUntil: excusedUntil > time.now - time.missed ? excusedUntil + time.missed : excusedUntil,
  };
}

/** What has happened cannot have been later than now. */
function past(at: Millis, { missed, now }: Pick<Missed, 'missed' | 'now'>): Millis {
  return Math.min(now, at + missed);
}

/** The stop's own limit moves with those of its workers. */
function stopPostponed(life: Life, time: Pick<Missed, 'missed' | 'now'>): Life {
  if (life.phase !== 'stopping') return life;
  const killedAt = life.killedAt === null ? null : past(life.killedAt, time);
  return { ...life, deadline: life.deadline + time.missed, killedAt };
}

/** A canary is judged over time in which the master looked. */
function trialPostponed({ reload }: State, missed: Millis): Partial<State> {
  if (reload?.stage.name === 'mirror')
    return { reload: { ...reload, stage: mirrorPostponed(reload.stage, missed) } };
  if (reload?.stage.name !== 'soak') return {};
  const { until, probeBy } = reload.stage;
  const stage = {
    ...reload.stage,
    until: until + missed,
    probeBy: probeBy === null ? null : probeBy + missed,
  };
  return { reload: { ...reload, stage } };
}
