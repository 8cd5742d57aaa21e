import type { LogEffect } from '../core/effects.js';
import type { KeptDeath, Worker } from '../core/state.js';
import { isMirrored, nameIn, nameOf, seconds, slotOf } from '../core/workers.js';
import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import { count, workerName } from '../protocol/words.js';
import { adviceOnDeath } from './advice.js';
import type { Telling } from './telling.js';
import { inFlight } from './words.js';

/* The lives of workers: why each was forked, why it drains, how it ended. */

/** A worker is forked, or a spare gets a slot. */
export function starts(t: Telling, key: WorkerKey, text: string): void {
  const worker = t.worker(key);
  const cause = causeOfStart(t, worker);
  t.causes.ofStart.set(key, cause);
  if (worker === undefined) return t.say({ kind: 'started', text, cause });
  const { generation } = worker;
  t.say({
    kind: 'started',
    text: generation === 1 ? text : `${text}, generation ${generation}`,
    cause,
    worker,
  });
}

export function ready(t: Telling, log: LogEffect): void {
  const worker = t.subjectOf(log);
  const started = worker === undefined ? undefined : t.causes.ofStart.get(worker.key);
  const took = log.fields?.tookMs;
  const after = typeof took === 'number' ? ` after ${seconds(took)}` : '';
  const kind = worker?.phase === 'spare' ? 'spare' : 'ready';
  t.say({ kind, text: `${log.message}${after}`, cause: started ?? null, worker });
}

export function drains(t: Telling, key: WorkerKey): void {
  const worker = t.worker(key);
  if (worker === undefined) return;
  const cause = causeOfEnd(t, worker, t.whyDrained);
  t.causes.ofEnd.set(key, cause);
  t.say({ kind: 'draining', text: `${nameOf(worker)} drains`, cause, worker });
}

/** Says why, for the drains that follow in the turn. */
export function willDrain(t: Telling, log: LogEffect, why: string): void {
  const [, slot] = /^worker (\d+) of generation \d+ serves in its place$/.exec(why) ?? [];
  const reason = slot === undefined ? undefined : whyReplaced(t, log, Number(slot));
  t.whyDrained = reason === undefined ? why : `${why} (${reason})`;
}

export function killed(t: Telling, key: WorkerKey): void {
  const worker = t.worker(key);
  if (worker === undefined) return;
  const why = worker.phase === 'dying' ? sentence(worker.why) : null;
  const cause = causeOfEnd(t, worker, why);
  t.causes.ofEnd.set(key, cause);
  t.say({ kind: 'killed', text: `${nameIn(t.turn.after, worker)} is killed`, cause, worker });
}

/** The entry of a death: the state says more. */
export function died(t: Telling, log: LogEffect): void {
  const death = t.deaths.shift();
  if (death === undefined) return t.sayOf(log, { kind: 'died', text: log.message, cause: null });
  const { after, before } = t.turn;
  const worker = [...after.workers, ...before.workers].find(({ key }) => key === death.key);
  const name = workerName(death.worker);
  const pause = restartIn(log);
  const verb = verbs[death.kind];
  const lived = worker === undefined ? `${death.uptimeSeconds} s` : seconds(t.turn.now - worker.forkedAt);
  const what = `${name} ${verb}${death.kind === 'boot' ? ',' : ''} after ${lived}`;
  const follows =
    pause === null ? '' : `; another one follows ${pause === 0 ? 'at once' : `in ${seconds(pause)}`}`;
  const requests = inFlight(death.requests);
  const cause = requests === '' ? death.cause : `${death.cause}; ${requests}`;
  t.causes.ofEnd.set(death.key, cause);
  if (death.worker !== null && pause !== null) {
    const waited = pause === 0 ? '' : `, ${seconds(pause)} of backoff are over`;
    t.causes.ofSlot.set(death.worker, `the one before it ${verb}: ${death.cause}${waited}`);
  }
  t.say({ kind: 'died', text: `${what}${follows}`, cause, advice: adviceOnDeath(death), worker });
}

export function gone(t: Telling, log: LogEffect): void {
  const { event } = t.turn;
  const worker = t.subjectOf(log);
  const cause =
    worker === undefined ? null : (t.causes.ofEnd.get(worker.key) ?? worker.failure?.message ?? null);
  const how = event.type === 'exited' ? exitOf(event) : '';
  const text = log.message.endsWith(' is gone') ? `${log.message}${how}` : log.message;
  t.say({ kind: 'gone', text, cause, worker });
}

function causeOfStart(t: Telling, worker: Worker | undefined): string {
  const { before, after, event } = t.turn;
  const slot = worker === undefined ? null : slotOf(worker);
  if (event.type === 'start') return 'the service starts';
  if (slot === null && (worker === undefined || !isMirrored(after, worker))) return causeOfSpare(t);
  const due = slot === null ? undefined : t.causes.ofSlot.get(slot);
  // A canary does not fill its slot: what is due there stays due.
  if (slot !== null && after.slots.find(({ id }) => id === slot)?.forkAt === null)
    t.causes.ofSlot.delete(slot);
  const reload = after.reload ?? before.reload;
  // A reload that begins fills slots that wait for a worker, too.
  const isCanary = reload?.stage.name === 'canary' && worker?.generation === reload.target;
  const own = event.type === 'reload' || isCanary ? undefined : due;
  if (reload !== null && worker?.generation === reload.target && own === undefined) {
    const { by, from } = reload.record;
    const role = isCanary ? ', the canary' : '';
    return `reload from generation ${from} to ${reload.target}, asked by ${by}${role}`;
  }
  if (own !== undefined) return own;
  if (reload?.stage.name === 'rollback') return `generation ${reload.target} is rolled back`;
  const { lastReload } = after;
  if (lastReload?.verdict === 'rolled-back') return `generation ${lastReload.generation} was rolled back`;
  if (!before.slots.some(({ id }) => id === slot)) return 'more workers are wanted';
  return 'nobody serves its slot';
}

function causeOfSpare(t: Telling): string {
  const { before, after } = t.turn;
  const { wanted, failures } = after.spares;
  const again = failures > 0 && before.spares.forkAt !== null ? ', and the last one died' : '';
  return `${count(wanted, 'spare')} ${wanted === 1 ? 'is' : 'are'} wanted${again}`;
}

function causeOfEnd(t: Telling, worker: Worker, why: string | null): string {
  const { life, reload } = t.turn.after;
  if (why !== null) return why;
  if (worker.failure !== null) return worker.failure.message;
  if (life.phase === 'stopping') return `the service stops: ${life.why}`;
  if (reload?.stage.name === 'rollback') return `generation ${reload.target} is rolled back`;
  const illness = t.causes.ofIllness.get(worker.key);
  if (illness !== undefined) return illness;
  // A spare of the generation before: a reload that is done has no use for it.
  const { generation } = t.turn.after;
  return worker.generation < generation
    ? `generation ${generation} has taken over`
    : 'it is not wanted any more';
}

/** Why another worker serves in the place of one: mostly why that one was forked. */
function whyReplaced(t: Telling, log: LogEffect, slot: number): string | undefined {
  const { before, after } = t.turn;
  const rolledBack = [before.reload, after.reload].find(
    (reload) => reload?.stage.name === 'rollback',
  )?.target;
  const last = before.reload !== null && after.reload === null ? after.lastReload : null;
  const target = rolledBack ?? (last?.verdict === 'rolled-back' ? last.generation : undefined);
  if (target !== undefined && t.subjectOf(log)?.generation === target) {
    return `generation ${target} is rolled back`;
  }
  const successor = t.newestIn(slot);
  const started = successor === undefined ? undefined : t.causes.ofStart.get(successor.key);
  return started === 'the service starts' ? undefined : started;
}

const verbs: Readonly<Record<KeptDeath['kind'], string>> = {
  boot: 'died before it was ready',
  crash: 'crashed',
  hang: 'hung and was killed',
};

function exitOf({ code, signal }: { readonly code: number | null; readonly signal: string | null }): string {
  if (signal !== null) return `, by ${signal}`;
  return code === null ? '' : `, exit status ${code}`;
}

/** Until another one is forked, ms; null: none is. */
function restartIn({ fields }: LogEffect): Millis | null {
  const value = fields?.restartInMs;
  return typeof value === 'number' ? value : null;
}

/** Why it was killed, as the state has it: sometimes a predicate, sometimes a sentence. */
function sentence(why: string): string {
  return /^(is|did|has) /.test(why) ? `it ${why}` : why;
}
