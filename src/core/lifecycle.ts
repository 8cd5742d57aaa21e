import type { Failure } from '../protocol/death-record.js';
import { extendBy, extendInterval, killGrace, type Millis, reapGrace } from '../protocol/limits.js';
import { count } from '../protocol/words.js';
import { boundsOf } from '../settings/worker-count.js';
import type { Effect } from './effects.js';
import type { Event } from './events.js';
import { stopReload, stuckReload } from './reload.js';
import { countRequests, note, replacedBy } from './reload-record.js';
import { changeSlot, emptySlot, fillSlot } from './slots.js';
import type { Serving, State, Stopping, Worker } from './state.js';
import { extendDue, notifyIfChanged, notifyStatus, secondsLeft, servedSlots, total } from './status.js';
import type { Transaction } from './transaction.js';
import { firstPing } from './watchdog.js';
import { becomeDraining, becomeDying, becomeReady, isUp, nameIn, nameOf, slotOf } from './workers.js';

/*
 * The life of the service: idle -> starting -> serving -> stopping -> ended. When systemd is told READY=1:
 *
 * 1. `start` forks a worker for each slot. A worker sends `ready` (`run` in worker/serve.ts) when its app listens where it is
 *    configured to; with `start.probe`, once it has answered a request; with `kind = "process"`, once it has run for a
 *    second, or with `wait_ready` when the app says so. With
 *    `listen_wait` it first waits until its port is free (`waits`).
 * 2. With the last slot `finishStart` emits `notify` with `ready`. Spares are not waited for.
 * 3. master/perform.ts passes it to the service manager. `holdReadyUntilOpen` (master/control-door.ts) holds it back until
 *    the control socket is open, for two seconds at most; then service-manager/systemd.ts encodes it and sends it by the addon that detect.ts
 *    has found.
 * 4. A reload begins with RELOADING=1, and ends with another READY=1, whatever its verdict (`begin` and `end` in
 *    reload.ts); only a stop ends it without.
 * 5. A start that fails goes from starting to stopping (`giveUpStart`): systemd is told STOPPING=1, and never READY=1.
 *    It fails with a worker that says why it cannot boot, ends with a code or SIGABRT before it is ready, overruns
 *    `boot_timeout`, or cannot be forked; one that a signal ended is tried again.
 */

/** Forks the first generation. */
export function start(t: Transaction, { beside }: Extract<Event, { type: 'start' }>): void {
  if (t.state.life.phase !== 'idle') return;
  const { now, policy } = t;
  const isBeside = beside === true;
  const length = isBeside ? 1 : boundsOf(policy.workers).min;
  const slots = Array.from({ length }, (_, index) => emptySlot(index + 1));
  t.update({
    life: { phase: 'starting' },
    isBeside,
    slots,
    startedAt: now,
    tickedAt: now,
    timers: {
      extendAt: now + extendInterval,
      ...firstPing(now, policy),
      statusAt: now,
      statisticsAt: now + policy.log.statsInterval,
    },
    traffic: { ...t.state.traffic, sampledAt: now },
  });
  for (const { id } of slots) fillSlot(t, { slot: id });
  notifyIfChanged(t, { extend: extendBy });
}

export function forked(t: Transaction, { key, pid }: Extract<Event, { type: 'forked' }>): void {
  const worker = t.worker(key);
  if (worker !== undefined) t.put({ ...worker, pid });
}

/** A worker could listen, and another process has the port: the wait is no part of its boot. It says so once. */
export function waits(t: Transaction, { key, port }: Extract<Event, { type: 'waits' }>): void {
  const worker = t.worker(key);
  if (worker?.phase !== 'starting' || worker.waitsFor !== null) return;
  const { listenWait } = t.policy;
  t.put({ ...worker, waitsFor: port, deadline: worker.deadline + listenWait });
  t.log('info', `${nameOf(worker)} waits for port ${port}, which another process has`, {
    workerPid: worker.pid,
    limitMs: listenWait,
  });
  notifyIfChanged(t);
}

/** A worker listens. Once it drains or dies, that comes too late to matter; and a spare does not. */
export function ready(t: Transaction, { key, urls }: Extract<Event, { type: 'ready' }>): void {
  const worker = t.worker(key);
  if (worker?.phase !== 'starting' || worker.role.kind !== 'slot') return;
  t.put(becomeReady(worker, { role: worker.role, now: t.now }));
  changeSlot(t, worker.role.slot, { bootFailures: 0 });
  t.log(t.state.life.phase === 'starting' ? 'debug' : 'info', `${nameOf(worker)} is ready`, {
    tookMs: t.now - worker.placedAt,
    workerPid: worker.pid,
  });
  note(t, { step: 'ready', worker });
  if (t.state.life.phase === 'serving' && t.state.life.leaving !== null) t.emit({ type: 'lame-duck', key });
  if (t.state.life.phase !== 'starting' || servedSlots(t.state) < t.state.slots.length)
    return notifyIfChanged(t);
  finishStart(t, urls);
}

/** The start is over, because every slot has a worker that listens: systemd is told READY=1. */
function finishStart(t: Transaction, urls: readonly string[]): void {
  const { slots } = t.state;
  t.update({ life: { phase: 'serving', leaving: null }, watchdog: { ...t.state.watchdog, quorumAt: t.now } });
  notifyStatus(t, { ready: true });
  const tookMs = t.now - t.state.startedAt;
  const does = t.policy.kind === 'process' ? 'running' : 'serving';
  t.log('info', `${does} with ${count(slots.length, 'worker')}`, { tookMs, urls });
  t.emit({ type: 'serving', urls });
}

/** The first start fails, and with it the service. */
export function giveUpStart(t: Transaction, { message, exitCode, errno, stack }: Failure): void {
  t.log('error', `cannot start: ${message}`, stack === undefined ? undefined : { stack });
  beginStop(t, { why: message, exitCode, ...(errno === undefined ? {} : { errno }) });
}

/**
 * systemd gives more time to a start or a reload as long as that gets on. A first attempt does, within its own limit; what
 * is tried again may fail for ever, and TimeoutStartSec= is to end it then.
 */
export function extendStart(t: Transaction): void {
  const { life, reload } = t.state;
  const isReloading = reload !== null && stuckReload(t.state) === null;
  if (life.phase === 'starting' ? isFirstAttempt(t.state) : isReloading) extendDue(t);
}

function isFirstAttempt({ slots, workers }: State): boolean {
  const again = new Set(slots.filter(({ restarts }) => restarts > 0).map(({ id }) => id));
  return workers.some((worker) => {
    const slot = slotOf(worker);
    return worker.phase === 'starting' && slot !== null && !again.has(slot);
  });
}

/** SIGTERM or the like. A second one ends the lame duck; during the drain it is harmless, unless it asks not to wait. */
export function stop(t: Transaction, event: Extract<Event, { type: 'stop' }>): void {
  const { life } = t.state;
  switch (life.phase) {
    case 'idle':
      t.update({ life: { phase: 'ended', exitCode: 0 } });
      return t.emit({ type: 'exit', code: 0 });
    case 'serving':
      if (leaves(t, life, event)) return;
      beginStop(t, { why: event.why, exitCode: 0 });
      return event.now ? stop(t, event) : undefined;
    case 'starting':
      beginStop(t, { why: event.why, exitCode: 0 });
      return event.now ? stop(t, event) : undefined;
    case 'stopping':
      if (event.now && life.killedAt === null) return killAll(t, life, event.why);
      if (life.isPatient === true) return hurry(t, life, event.why);
      return t.log('info', `${event.why}: already stopping, at most ${secondsLeft(life, t.now)} s more`);
    case 'ended':
      return;
  }
}

/** Signals within this time are one: wrappers pass on what the terminal has sent to the whole process group. */
const oneSignal: Millis = 500;

/** Whether the drain is not to begin yet, because of `lame_duck`. */
function leaves(t: Transaction, { leaving }: Serving, event: Extract<Event, { type: 'stop' }>): boolean {
  const { now, policy, state } = t;
  if (policy.lameDuck === 0 || event.now) return false;
  if (leaving !== null) return now - leaving.since < oneSignal;
  const { why } = event;
  t.update({
    life: { phase: 'serving', leaving: { why, since: now, until: now + policy.lameDuck } },
    timers: { ...state.timers, extendAt: now + extendInterval },
  });
  notifyStatus(t, { stopping: true, extend: extendBy });
  t.log('info', `stopping: ${why}; serving on as a lame duck, /readyz answers 503`, {
    drainInMs: policy.lameDuck,
  });
  t.emit(...state.workers.filter(isUp).map(({ key }): Effect => ({ type: 'lame-duck', key })));
  return true;
}

/** The lame duck is over. systemd is asked for its time as well. */
export function leavingDeadline(t: Transaction): void {
  const { life } = t.state;
  if (life.phase !== 'serving' || life.leaving === null) return;
  if (t.now >= life.leaving.until) beginStop(t, { why: life.leaving.why, exitCode: 0 });
  else extendDue(t);
}

/** Drains every worker; nothing is forked from here on. */
export function beginStop(
  t: Transaction,
  { why, exitCode, errno }: { readonly why: string; readonly exitCode: number; readonly errno?: number },
): void {
  stopReload(t, why);
  const { now } = t;
  const timeout = t.policy.drainTimeout;
  const deadline = now + timeout + killGrace;
  const { workers, timers, isBeside } = t.state;
  t.update({
    // Where another master accepts, nobody has to be kept waiting for the last listener to close.
    life: { phase: 'stopping', why, since: now, deadline, exitCode, released: isBeside, killedAt: null },
    ...allDraining(t, deadline),
    timers: { ...timers, extendAt: now + extendInterval },
  });
  notifyStatus(t, { stopping: true, extend: extendBy, ...(errno === undefined ? {} : { errno }) });
  // Why a failed service ends has been said already, as an error.
  t.log(exitCode === 0 ? 'info' : 'debug', `stopping: ${why}`, { workers: workers.length });
  t.emit(
    ...workers.filter(isUp).map(({ key }): Effect => ({ type: 'drain', key, timeout, last: !isBeside })),
  );
}

/** Nothing fills a slot any more, and each worker that is up drains until `deadline`. */
function allDraining({ state, now }: Transaction, deadline: Millis): Pick<State, 'slots' | 'workers'> {
  return {
    slots: state.slots.map((slot) => ({ ...slot, forkAt: null, forkAfter: null })),
    workers: state.workers.map((worker) =>
      isUp(worker) ? becomeDraining(worker, { now, deadline, replacedIn: null }) : worker,
    ),
  };
}

/** The other master has closed its copies of the sockets, or is gone. */
export function alone(t: Transaction): void {
  if (t.state.isBeside) t.update({ isBeside: false });
}

/** Another master has taken over: the workers accept no more, and their connections last as long as they want, within a limit. */
export function retire(t: Transaction, { why, patience }: Extract<Event, { type: 'retire' }>): void {
  const { now, policy } = t;
  if (t.state.life.phase !== 'serving') return;
  stopReload(t, why);
  const timeout = policy.drainTimeout;
  const deadline = now + patience + timeout + killGrace;
  const { workers } = t.state;
  t.update({
    life: {
      ...{ phase: 'stopping', why, since: now, deadline, exitCode: 0 },
      ...{ released: true, killedAt: null, isPatient: true },
    },
    ...allDraining(t, deadline),
  });
  t.log('info', `${why}: what the workers still have goes on`, {
    workers: workers.length,
    connections: total(t.state, 'connections'),
    limitMs: patience,
  });
  t.emit(
    ...workers
      .filter(isUp)
      .map(({ key }): Effect => ({ type: 'drain', key, timeout, last: false, patience })),
  );
}

/** The patience with the connections that go on is over: they drain. */
function hurry(t: Transaction, life: Stopping, why: string): void {
  const { now, policy } = t;
  const timeout = policy.drainTimeout;
  const deadline = Math.min(life.deadline, now + timeout + killGrace);
  const draining = t.state.workers.filter(({ phase }) => phase === 'draining');
  t.update({
    life: { ...life, deadline, isPatient: false },
    workers: t.state.workers.map((worker) =>
      worker.phase === 'draining' ? { ...worker, deadline: Math.min(worker.deadline, deadline) } : worker,
    ),
  });
  t.log('info', `${why}: the workers that are left drain`, { workers: draining.length });
  t.emit(...draining.map(({ key }): Effect => ({ type: 'drain', key, timeout, last: false })));
}

/** A worker is gone that was to go: while the master stops that is progress. */
export function workerLeft(
  t: Transaction,
  worker: Worker,
  { code, signal, oomKills = 0 }: Extract<Event, { type: 'exited' }>,
): void {
  const { life } = t.state;
  // How the app ends itself once its connections are gone is its own business.
  const drained = worker.phase === 'draining' && worker.drained;
  // Nor is it news that the others fail like the one that ended the start.
  const alike = life.phase === 'stopping' && life.exitCode !== 0;
  // One that said why it dies while it served is in the log already.
  const told = worker.failure !== null && life.phase !== 'stopping';
  if (code === 0 || worker.phase === 'dying' || drained || alike || told) {
    t.log('debug', `${nameIn(t.state, worker)} is gone`, { workerPid: worker.pid, code, signal });
  } else {
    const how = signal === null ? `code ${code}` : signal;
    t.log('warn', `${nameIn(t.state, worker)} ended with ${how} while it drained`, {
      workerPid: worker.pid,
      ...(oomKills === 0 ? {} : { oomKills }),
      ...(worker.failure === null ? {} : { reason: worker.failure.message }),
    });
  }
  progress(t);
}

/** The worker had to cut connections at the drain's deadline. */
export function cut(t: Transaction, { key, requests, connections }: Extract<Event, { type: 'cut' }>): void {
  const worker = t.worker(key);
  if (worker === undefined) return;
  const message = `${nameOf(worker)} cut what was left at the end of its drain`;
  t.log('warn', message, { requests, connections, workerPid: worker.pid });
  countRequests(t, replacedBy(worker), { lost: requests });
  t.put(emptied(worker));
}

/** The worker's listeners are closed. */
export function closed(
  t: Transaction,
  { key, inFlight, accepted }: Extract<Event, { type: 'closed' }>,
): void {
  const worker = t.worker(key);
  if (worker?.phase !== 'draining') return;
  const heartbeat = worker.heartbeat === null ? null : { ...worker.heartbeat, inFlight, accepted };
  t.put({ ...worker, heartbeat, closed: true });
  countRequests(t, worker.replacedIn, { moved: inFlight });
}

/** The worker has answered all that it had. */
export function drained(t: Transaction, { key }: Extract<Event, { type: 'drained' }>): void {
  const worker = t.worker(key);
  if (worker?.phase !== 'draining') return;
  t.put({ ...emptied(worker), drained: true });
  progress(t);
}

/** Once the last listener is closed, the workers may answer whom they kept waiting. */
export function releaseIfClosed(t: Transaction): void {
  const { life, workers } = t.state;
  if (life.phase !== 'stopping' || life.released) return;
  if (!workers.every((worker) => worker.phase === 'draining' && worker.closed)) return;
  t.update({ life: { ...life, released: true } });
  t.emit(...workers.map(({ key }): Effect => ({ type: 'release', key })));
}

/** EXTEND_TIMEOUT_USEC repeats while the drain makes progress, and only then; see sd_notify(3). */
export function progress(t: Transaction): void {
  if (t.state.life.phase === 'stopping') extendDue(t);
}

/** What is in flight on a worker at its end has been lost: nothing is, once it was answered or cut. */
function emptied<W extends Worker>(worker: W): W {
  return worker.heartbeat === null
    ? worker
    : { ...worker, heartbeat: { ...worker.heartbeat, inFlight: 0, current: [] } };
}

export function stopDeadlines(t: Transaction): void {
  const { life, workers } = t.state;
  if (life.phase !== 'stopping') return;
  if (life.killedAt === null) {
    if (t.now >= life.deadline) killAll(t, life, 'the drain is over its limit');
  } else if (t.now - life.killedAt >= reapGrace) {
    t.update({ workers: [] });
    t.log('error', 'killed workers are still there; leaving them', { pids: workers.map(({ pid }) => pid) });
  }
}

/** The end, once no worker is left. */
export function endIfEmpty(t: Transaction): void {
  const { life, workers } = t.state;
  if (life.phase !== 'stopping' || workers.length > 0) return;
  const { exitCode } = life;
  t.update({ life: { phase: 'ended', exitCode } });
  t.emit(...t.state.cell.workers.map(({ key }): Effect => ({ type: 'kill', key })));
  t.log('info', 'stopped', { tookMs: t.now - life.since, exitCode });
  t.emit({ type: 'exit', code: exitCode });
}

function killAll(t: Transaction, life: Stopping, why: string): void {
  const { workers } = t.state;
  const pids = workers.map(({ pid }) => pid);
  const inFlight = total(t.state, 'inFlight');
  t.update({
    workers: workers.map((worker) => becomeDying(worker, why)),
    life: { ...life, killedAt: t.now },
  });
  t.log('warn', `${why}: killing the workers that are left`, { pids, inFlight });
  t.emit(...workers.map(({ key }): Effect => ({ type: 'kill', key })));
}
