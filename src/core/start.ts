import { extendBy, extendInterval, type Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import { changeSlot, fillSlot } from './fork.js';
import type { State } from './model.js';
import type { Policy } from './policy.js';
import { note } from './record.js';
import { chain, chainAll, findWorker, log, type Result, replaceWorker, unchanged } from './result.js';
import { emptySlot } from './scale.js';
import { count, servedSlots, statusLine, tellStatus } from './status.js';
import { firstPing } from './watchdog.js';

/** Forks the first generation. */
export function start(state: State, now: Millis, policy: Policy): Result {
  if (state.life.phase !== 'idle') return unchanged(state);
  const slots = Array.from({ length: policy.workers }, (_, index) => emptySlot(index + 1));
  const started: State = {
    ...state,
    life: { phase: 'starting' },
    slots,
    startedAt: now,
    tickedAt: now,
    timers: {
      extendAt: now + extendInterval,
      ...firstPing(now, policy),
      statusAt: now,
      statisticsAt: now + policy.log.statsInterval,
    },
    traffic: { ...state.traffic, sampledAt: now },
  };
  const forked = chainAll(
    started,
    slots.map(
      ({ id }) =>
        (next) =>
          fillSlot(next, { slot: id }, now, policy),
    ),
  );
  return chain(forked, (next) => tellStatus(next, now, { extend: extendBy }));
}

export function forked(state: State, key: WorkerKey, pid: number): Result {
  const worker = findWorker(state, key);
  return worker === undefined ? unchanged(state) : unchanged(replaceWorker(state, { ...worker, pid }));
}

/** A worker listens. Once it drains or dies, that comes too late to matter; and a spare does not. */
export function ready(state: State, key: WorkerKey, urls: readonly string[], now: Millis): Result {
  const worker = findWorker(state, key);
  if (worker?.phase !== 'starting' || worker.slot === 0) return unchanged(state);
  const vitals = { ...worker.vitals, provedAt: now };
  const serving = replaceWorker(state, { ...worker, vitals, phase: 'ready', since: now, beatAt: now });
  const next = changeSlot(serving, worker.slot, { bootFailures: 0 });
  const level = state.life.phase === 'starting' ? 'debug' : 'info';
  const result: Result = [
    next,
    [log(level, `worker ${worker.slot} is ready`, { tookMs: now - worker.placedAt, workerPid: worker.pid })],
  ];
  const noted = chain(result, (state) => note(state, now, { step: 'ready', worker }));
  return chain(noted, (state) => announce(state, urls, now));
}

/** The start is over once every slot has a worker that listens: only then may systemd be told READY=1. */
function announce(state: State, urls: readonly string[], now: Millis): Result {
  if (state.life.phase !== 'starting') return tellStatus(state, now, {});
  if (servedSlots(state) < state.slots.length) return tellStatus(state, now, {});
  const watchdog = { ...state.watchdog, quorumAt: now };
  const serving: State = { ...state, life: { phase: 'serving' }, watchdog };
  const status = statusLine(serving, now);
  return [
    { ...serving, status },
    [
      { type: 'notify', ready: true, status },
      log('info', `serving with ${count(state.slots.length, 'worker')}`, {
        tookMs: now - state.startedAt,
        urls,
      }),
      { type: 'serving', urls },
    ],
  ];
}
