import type { Effect, LogEffect } from '../core/effects.js';
import type { Event } from '../core/events.js';
import type { State, Worker } from '../core/state.js';
import { isSpeaking, nameOf, seconds, slotOf } from '../core/workers.js';
import type { WorkerKey } from '../protocol/messages.js';
import { stallInWords } from '../protocol/stall.js';
import { adviceOnIllness, adviceOnMemory } from './advice.js';
import type { Telling } from './telling.js';
import { inFlight } from './words.js';

/* How workers do: silence, illness, stalls, short memory, and the requests that are kept out. */

/** A worker that is silent is looked at. */
export function looks(t: Telling, key: WorkerKey): void {
  const worker = t.worker(key);
  if (worker === undefined) return;
  t.say({ kind: 'health', text: `${nameOf(worker)} is being looked at`, cause: silence(t, worker), worker });
}

export function lookedAt(t: Telling, { key, capture }: Extract<Event, { type: 'captured' }>): void {
  const worker = t.worker(key);
  const wasSilent = t.turn.before.workers.find((each) => each.key === key)?.vitals.silence;
  // One that speaks again has a sentence of its own in the log.
  if (!isSpeaking(worker) || (wasSilent ?? null) === null || t.hasLog(/ did not answer for /)) return;
  const where = capture.at === null ? '' : `in ${capture.at}`;
  const what = [where, capture.state === 'unknown' ? '' : capture.state]
    .filter((part) => part !== '')
    .join(', ');
  const requests = inFlight(capture.requests ?? []);
  t.say({
    kind: 'health',
    text: `${nameOf(worker)} was looked at: ${what === '' ? 'what it does could not be found out' : what}`,
    cause: [silence(t, worker), requests].filter((part) => part !== '').join(', '),
    worker,
  });
}

export function excused(t: Telling, event: Extract<Event, { type: 'excused' }>): void {
  const worker = t.worker(event.key);
  if (worker === undefined || event.for === 0) return;
  const text = `${nameOf(worker)} may be silent for up to ${seconds(event.for)}`;
  t.say({ kind: 'health', text, cause: 'a heap snapshot was asked for', worker });
}

export function ill(
  t: Telling,
  log: LogEffect,
  { text, why }: { readonly text: string; readonly why: string },
): void {
  const worker = t.subjectOf(log);
  const { heartbeat } = worker ?? {};
  const delay = heartbeat?.eventLoopDelayMs ?? 0;
  const isDelayNews = delay >= 1_000 && !why.includes('event loop');
  const more = [
    isDelayNews ? `event-loop delay ${seconds(delay)}` : '',
    inFlight(heartbeat?.current ?? []),
  ].filter((part) => part !== '');
  const cause = [why, ...more].join(', ');
  if (worker !== undefined) t.causes.ofIllness.set(worker.key, cause);
  const advice = adviceOnIllness(why, worker === undefined ? null : slotOf(worker));
  t.say({ kind: 'health', text, cause, advice, worker });
}

export function healthy(t: Telling, log: LogEffect): void {
  const worker = t.subjectOf(log);
  const was = worker === undefined ? undefined : t.causes.ofIllness.get(worker.key);
  if (worker !== undefined) t.causes.ofIllness.delete(worker.key);
  t.say({
    kind: 'health',
    text: log.message,
    cause: was === undefined ? null : `over: ${was}`,
    worker,
  });
}

/** A worker is replaced, the new one first. */
export function replaced(
  t: Telling,
  log: LogEffect,
  { slot, why }: { readonly slot: number; readonly why: 'illness' | 'asked' },
): void {
  const worker = t.subjectOf(log);
  const serving = worker ?? t.servingIn(slot);
  const illness = serving === undefined ? undefined : t.causes.ofIllness.get(serving.key);
  const cause = why === 'asked' ? t.asked(log) : `it is unhealthy: ${illness ?? 'the log says why'}`;
  const reason =
    why === 'asked' ? `a restart was ${cause}` : `the one before it is unhealthy: ${illness ?? ''}`;
  t.causes.ofSlot.set(slot, reason.replace(/: $/, ''));
  const kind = why === 'asked' ? 'restart' : 'health';
  t.say({ kind, text: `worker ${slot} is being replaced`, cause, worker: serving });
}

/** A worker has served for as long as it may. */
export function recycled(
  t: Telling,
  log: LogEffect,
  { slot, why }: { readonly slot: number; readonly why: string },
): void {
  t.causes.ofSlot.set(slot, `the one before it is recycled: ${why}`);
  t.sayOf(log, { kind: 'restart', text: `worker ${slot} is being recycled`, cause: why });
}

export function stalled(t: Telling, stall: Extract<Effect, { type: 'stall' }>): void {
  const { event } = t.turn;
  const worker = 'key' in event ? t.worker(event.key) : undefined;
  const name = worker === undefined ? 'a worker' : nameOf(worker);
  const requests = inFlight(stall.requests);
  t.say({
    kind: 'stall',
    text: `${name} ${stallInWords(stall)}`,
    cause: requests === '' ? null : requests,
    worker,
  });
}

/** The memory is short, and a worker goes for it. */
export function relieved(
  t: Telling,
  { short, what }: { readonly short: string; readonly what: string },
): void {
  const { slot } = t.turn.after.pressure;
  const worker = slot === null ? undefined : t.servingIn(slot);
  if (slot !== null && /^(draining|replacing) worker/.test(what)) {
    t.causes.ofSlot.set(slot, `the one before it was ended because ${short}`);
    return t.say({ kind: 'memory', text: what, cause: short, advice: adviceOnMemory(slot), worker });
  }
  const advice = 'raise the memory limit of the service, or run fewer workers: rom-agent doctor shows both';
  t.say({ kind: 'memory', text: what, cause: short, advice });
}

/** What was kept out with 503 is let in again: no log says so. */
export function admitted(t: Telling): void {
  const { before, after } = t.turn;
  if (before.suspects === after.suspects) return;
  const blocked = (state: State) => state.suspects.filter(({ blockedUntil }) => blockedUntil !== null);
  const still = new Set(blocked(after).map(({ method, route }) => `${method} ${route}`));
  for (const { method, route } of blocked(before)) {
    if (still.has(`${method} ${route}`)) continue;
    const text = `${method} ${route} reaches the app again`;
    t.say({ kind: 'poison', text, cause: 'it was kept out for as long as poison.block says' });
  }
}

function silence(t: Telling, { vitals, ...worker }: Worker): string {
  const since = 'heartbeatAt' in worker ? Math.max(worker.heartbeatAt, vitals.excusedUntil) : null;
  return since === null ? 'it is silent' : `silent for ${seconds(t.turn.now - since)}`;
}
