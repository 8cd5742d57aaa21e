import type { Capture } from '../protocol/capture.js';
import type { Heartbeat } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import { keepEven } from './balance.js';
import { type Death, deathByTimeout, died, requestsOf } from './deaths.js';
import type { Event } from './events.js';
import { afterHeartbeat, paced } from './health.js';
import { giveUpStart, progress } from './lifecycle.js';
import { ownPolicy, type Policy } from './policy.js';
import { trialOf } from './reload.js';
import { tellShed } from './shed.js';
import type { Life, Silence, Worker } from './state.js';
import type { Transaction } from './transaction.js';
import {
  becomeDying,
  becomeDyingCounted,
  isSpeaking,
  nameIn,
  nameOf,
  type Speaking,
  seconds,
  silentSince,
} from './workers.js';

/*
 * The limits of a worker's life: it must listen in time, end its drain in time, and send heartbeats all the while. A worker
 * that falls silent is first looked at (`capture`), so that the log can say what it hangs in, and then killed.
 */

/** A worker that gets no CPU is given so many times the limit: it is not to blame. */
const patienceWithStarved = 3;

/** A heartbeat. One from a worker that boots or dies says nothing. */
export function heartbeat(t: Transaction, { key, heartbeat }: Extract<Event, { type: 'heartbeat' }>): void {
  const worker = t.worker(key);
  if (worker === undefined) return;
  switch (worker.phase) {
    case 'starting':
    case 'dying':
      return;
    case 'spare':
    case 'ready': {
      const before = t.state.workers;
      heard(t, worker, heartbeat);
      if (worker.heartbeat?.kept === heartbeat.kept) keepEven(before, t.state.workers);
      return;
    }
    case 'draining': {
      const vitals = { ...worker.vitals, pace: paced(worker.vitals.pace, heartbeat.requests, t.now) };
      t.put({ ...worker, heartbeat, heartbeatAt: t.now, vitals });
      // The job that such an app finishes shows in nothing else.
      if (t.policy.kind === 'process' || moved(worker.heartbeat, heartbeat)) progress(t);
    }
  }
}

/** A heartbeat of a worker that serves, or waits for it. */
function heard(t: Transaction, worker: Speaking, heartbeat: Heartbeat): void {
  const { silence } = worker.vitals;
  const vitals = afterHeartbeat(worker, { heartbeat, now: t.now, policy: ownPolicy(t.policy, worker) });
  const shedding = tellShed(t, worker, heartbeat);
  const spoken: Speaking = { ...worker, heartbeat, heartbeatAt: t.now, vitals: { ...vitals, shedding } };
  if (silence === null) return t.put(spoken);
  const ended = silence.ended ?? t.now - silentSince(worker);
  if (silence.capture !== null) return recovered(t, spoken, { capture: silence.capture, ended });
  // What it did is on its way.
  t.put(withSilence(spoken, { ...silence, ended }));
}

function moved(before: Heartbeat | null, after: Heartbeat): boolean {
  return (
    before === null ||
    before.requests !== after.requests ||
    before.inFlight !== after.inFlight ||
    before.connections !== after.connections ||
    before.bytesWritten !== after.bytesWritten
  );
}

/** Kills workers that do not listen in time, and those that do not end in time. */
export function keepLimits(t: Transaction): void {
  t.eachWorker((worker) => {
    const why = overLimit(worker, { life: t.state.life, now: t.now, policy: ownPolicy(t.policy, worker) });
    if (why !== null) kill(t, worker, why);
  });
}

function overLimit(
  worker: Worker,
  { life, now, policy }: { life: Life; now: Millis; policy: Policy },
): string | null {
  const { hangTimeout, bootTimeout } = policy;
  if (worker.phase === 'starting') {
    const what =
      worker.role.kind === 'spare' ? 'boot' : policy.kind === 'process' ? 'become ready' : 'listen';
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

/** A worker that drains has been replaced. The death of one that starts counts from here on; it ends the first start. */
function kill(t: Transaction, worker: Worker, why: string): void {
  const starts = worker.phase === 'starting';
  const replacedIn = trialOf(t.state, worker)?.target ?? null;
  t.put(starts ? becomeDyingCounted(worker, { now: t.now, replacedIn, why }) : becomeDying(worker, why));
  t.log('warn', `${nameIn(t.state, worker)} ${why}; killing it`, { workerPid: worker.pid });
  t.emit({ type: 'kill', key: worker.key });
  if (!starts) return;
  if (t.state.life.phase === 'starting') {
    return giveUpStart(t, { message: `${nameOf(worker)} ${why}`, exitCode: t.policy.exits.bootTimeout });
  }
  died(t, deathByTimeout(worker, { kind: 'boot', cause: why, stack: worker.failure?.stack ?? null }));
}

/** How long a silent worker is looked at before it is killed: on a busy machine it takes seconds to get its stack. */
export function captureTime({ hangTimeout }: Pick<Policy, 'hangTimeout'>): Millis {
  return Math.min(5_000, Math.round(hangTimeout / 4));
}

/** When the silence of a worker has its next consequence: it is looked at, or killed; Infinity where it has none. */
export function silenceDeadline(worker: Worker, common: Policy): Millis {
  const policy = ownPolicy(common, worker);
  if (worker.phase === 'draining') return silentSince(worker) + policy.hangTimeout;
  if (!isSpeaking(worker)) return Number.POSITIVE_INFINITY;
  return isLookedAt(worker) ? killAt(worker, policy) : lookAt(worker, policy);
}

/** Has the silent looked at, and in the end killed: never later because somebody still looks. */
export function watchSilence(t: Transaction): void {
  t.eachWorker((worker) => {
    if (isSpeaking(worker)) watch(t, worker);
  });
}

function watch(t: Transaction, worker: Speaking): void {
  const policy = ownPolicy(t.policy, worker);
  if (isLookedAt(worker)) {
    if (t.now >= killAt(worker, policy)) hang(t, worker);
    return;
  }
  if (t.now < lookAt(worker, policy)) return;
  t.put(withSilence(worker, { askedAt: t.now, capture: null, ended: null }));
  t.emit({ type: 'capture', key: worker.key, timeout: captureTime(policy) });
}

/** What a silent worker does. Once it drains or dies, that comes too late to matter. */
export function captured(t: Transaction, { key, capture }: Extract<Event, { type: 'captured' }>): void {
  const worker = t.worker(key);
  if (worker === undefined || !isSpeaking(worker)) return;
  const { silence } = worker.vitals;
  if (silence === null) return;
  const { ended } = silence;
  if (ended !== null) return recovered(t, worker, { capture, ended });
  t.put(withSilence(worker, { ...silence, capture }));
}

/** It is kept from its heartbeats on demand: what was found out about its silence so far does not count. */
export function excused(t: Transaction, event: Extract<Event, { type: 'excused' }>): void {
  const worker = t.worker(event.key);
  if (worker === undefined || worker.phase === 'dying') return;
  t.put({ ...worker, vitals: { ...worker.vitals, silence: null, excusedUntil: t.now + event.for } });
}

/** It is killed. Its death counts now: its slot may be filled, after the backoff, before its process has exited. */
function hang(t: Transaction, worker: Speaking): void {
  const death = hangOf(worker, t.now);
  const unresponsive: Worker = { ...worker, vitals: { ...worker.vitals, health: 'unresponsive' } };
  const replacedIn = trialOf(t.state, worker)?.target ?? null;
  t.put(becomeDyingCounted(unresponsive, { now: t.now, replacedIn, why: death.cause }));
  t.emit({ type: 'kill', key: worker.key });
  died(t, death);
}

function hangOf(worker: Speaking, now: Millis): Death {
  const capture = worker.vitals.silence?.capture ?? null;
  const silent = now - worker.heartbeatAt;
  const aged = requestsOf(worker).map((request) => ({ ...request, ageMs: request.ageMs + silent }));
  const where = capture === null ? '' : whereabouts(capture);
  const silence = `silent for ${seconds(now - silentSince(worker))}`;
  return deathByTimeout(worker, {
    kind: 'hang',
    cause: where === '' ? silence : `${silence}${where.startsWith('in ') ? '' : ','} ${where}`,
    requests: capture?.requests ?? aged,
    stack: capture?.stack ?? null,
    detail: capture?.detail ?? null,
  });
}

function recovered(
  t: Transaction,
  worker: Speaking,
  { capture, ended }: { capture: Capture; ended: Millis },
): void {
  const where = whereabouts(capture);
  t.put(withSilence(worker, null));
  const message = `${nameOf(worker)} did not answer for ${seconds(ended)}${where === '' ? '' : `: it was ${where}`}`;
  t.log('warn', message, {
    workerPid: worker.pid,
    ...(capture.stack === null ? {} : { stack: capture.stack }),
    ...(capture.detail === null ? {} : { detail: capture.detail }),
  });
}

const doing: Readonly<Record<Capture['state'], string>> = {
  running: '',
  stopped: 'stopped by a signal',
  blocked: 'blocked in a system call',
  starved: 'starved of CPU',
  idle: 'idle in its event loop',
  unknown: '',
};

/** What goes on behind "it was"; empty where nothing is known. */
function whereabouts({ state, at }: Capture): string {
  return [at === null ? '' : `in ${at}`, doing[state]].filter((part) => part !== '').join(', ');
}

/** One that has spoken since is not looked at any more, though the answer may still be out. */
function isLookedAt({ vitals: { silence } }: Speaking): boolean {
  return silence !== null && silence.ended === null;
}

function lookAt(worker: Speaking, policy: Policy): Millis {
  return silentSince(worker) + policy.hangTimeout - captureTime(policy);
}

/** Where the master was late in looking, it is late in killing: what has come meanwhile is read before. */
function killAt(worker: Speaking, policy: Policy): Millis {
  const { silence } = worker.vitals;
  const isStarved = silence?.capture?.state === 'starved';
  const limit = policy.hangTimeout * (isStarved ? patienceWithStarved : 1);
  return Math.max(silentSince(worker) + limit, (silence?.askedAt ?? 0) + captureTime(policy));
}

function withSilence(worker: Speaking, silence: Silence | null): Worker {
  return { ...worker, vitals: { ...worker.vitals, silence } };
}
