import type { Capture } from '../protocol/capture.js';
import type { Beat } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import { keepEven } from './balance.js';
import { type Death, died, requestsOf } from './deaths.js';
import type { Event } from './events.js';
import { afterBeat, paced } from './health.js';
import { giveUpStart, progress } from './lifecycle.js';
import { ownPolicy, type Policy } from './policy.js';
import { trialOf } from './reload.js';
import { chain, eachWorker, log, type Result, unchanged } from './result.js';
import type { Life, Silence, State, Worker } from './state.js';
import {
  draining,
  findWorker,
  killed,
  nameOf,
  replaceWorker,
  type Speaking,
  seconds,
  silentSince,
} from './workers.js';
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

/** A worker that gets no CPU is given so many times the limit: it is not to blame. */
const patienceWithStarved = 3;

/** How long a silent worker is looked at before it is killed. */
export function captureTime({ hangTimeout }: Pick<Policy, 'hangTimeout'>): Millis {
  return Math.min(1_000, Math.round(hangTimeout / 4));
}

/** When the silence of a worker has its next consequence: it is looked at, or killed; Infinity where it has none. */
export function silenceDeadline(worker: Worker, common: Policy): Millis {
  const policy = ownPolicy(common, worker);
  switch (worker.phase) {
    case 'draining':
      return silentSince(worker) + policy.hangTimeout;
    case 'spare':
    case 'ready':
      return isLookedAt(worker) ? killAt(worker, policy) : lookAt(worker, policy);
    default:
      return Number.POSITIVE_INFINITY;
  }
}

/** Has the silent looked at, and in the end killed: never later because somebody still looks. */
export function watchSilence(state: State, now: Millis, policy: Policy): Result {
  return eachWorker(state, (next, worker) =>
    worker.phase === 'spare' || worker.phase === 'ready'
      ? watch(next, { worker, now, policy })
      : unchanged(next),
  );
}

/** A beat of a worker that serves, or waits for it. */
export function heard(
  state: State,
  { worker, beat, now, policy }: { worker: Speaking; beat: Beat; now: Millis; policy: Policy },
): Result {
  const { silence } = worker.vitals;
  const vitals = afterBeat(worker, { beat, now, policy: ownPolicy(policy, worker) });
  const spoken = { ...worker, beat, beatAt: now, vitals };
  if (silence === null) return unchanged(replaceWorker(state, spoken));
  const ended = silence.ended ?? now - silentSince(worker);
  if (silence.capture !== null) return recovered(state, { worker: spoken, capture: silence.capture, ended });
  // What it did is on its way.
  return unchanged(
    replaceWorker(state, { ...spoken, vitals: { ...vitals, silence: { ...silence, ended } } }),
  );
}

/** What a silent worker does. Once it drains or dies, that comes too late to matter. */
export function captured(state: State, { key, capture }: Extract<Event, { type: 'captured' }>): Result {
  const worker = findWorker(state, key);
  if (worker?.phase !== 'spare' && worker?.phase !== 'ready') return unchanged(state);
  const { silence } = worker.vitals;
  if (silence === null) return unchanged(state);
  const { ended } = silence;
  if (ended !== null) return recovered(state, { worker, capture, ended });
  return unchanged(replaceWorker(state, withSilence(worker, { ...silence, capture })));
}

/** It is kept from its beats on demand: what was found out about its silence so far does not count. */
export function excused(state: State, event: Extract<Event, { type: 'excused' }>, now: Millis): Result {
  const worker = findWorker(state, event.key);
  if (worker === undefined || worker.phase === 'dying') return unchanged(state);
  const vitals = { ...worker.vitals, silence: null, excusedUntil: now + event.for };
  return unchanged(replaceWorker(state, { ...worker, vitals }));
}

function watch(
  state: State,
  { worker, now, policy }: { worker: Speaking; now: Millis; policy: Policy },
): Result {
  const own = ownPolicy(policy, worker);
  if (isLookedAt(worker)) {
    return now < killAt(worker, own) ? unchanged(state) : hang(state, { worker, now, policy });
  }
  if (now < lookAt(worker, own)) return unchanged(state);
  return [
    replaceWorker(state, withSilence(worker, { askedAt: now, capture: null, ended: null })),
    [{ type: 'capture', key: worker.key, timeout: captureTime(own) }],
  ];
}

/** From here on its death is no news, as that of a worker that drains: another takes its place at once. */
function hang(
  state: State,
  { worker, now, policy }: { worker: Speaking; now: Millis; policy: Policy },
): Result {
  const death = deathOf(worker, now);
  const lost: Worker = { ...worker, vitals: { ...worker.vitals, health: 'lost' } };
  const reload = trialOf(state, worker)?.target ?? null;
  const leaving = killed(draining(lost, { now, deadline: now, reload }), death.cause);
  const killing: Result = [replaceWorker(state, leaving), [{ type: 'kill', key: worker.key }]];
  return chain(killing, (next) => died(next, { death, now, policy }));
}

function deathOf(worker: Speaking, now: Millis): Death {
  const capture = worker.vitals.silence?.capture ?? null;
  const silent = now - worker.beatAt;
  const aged = requestsOf(worker).map((request) => ({ ...request, age: request.age + silent }));
  const where = capture === null ? '' : whereabouts(capture);
  const silence = `silent for ${seconds(now - silentSince(worker))}`;
  return {
    worker,
    kind: 'hang',
    cause: where === '' ? silence : `${silence}${where.startsWith('in ') ? '' : ','} ${where}`,
    exit: { code: null, signal: null },
    oomKills: 0,
    requests: capture?.requests ?? aged,
    stack: capture?.stack ?? null,
    detail: capture?.detail ?? null,
    isOpen: false,
  };
}

function recovered(
  state: State,
  { worker, capture, ended }: { worker: Speaking; capture: Capture; ended: Millis },
): Result {
  const where = whereabouts(capture);
  const message = `${nameOf(worker)} did not answer for ${seconds(ended)}${where === '' ? '' : `: it was ${where}`}`;
  return [
    replaceWorker(state, withSilence(worker, null)),
    [
      log('warn', message, {
        workerPid: worker.pid,
        ...(capture.stack === null ? {} : { stack: capture.stack }),
        ...(capture.detail === null ? {} : { detail: capture.detail }),
      }),
    ],
  ];
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
