import type { Event } from '../core/events.js';
import { seconds } from '../core/workers.js';
import type { ReloadRecord, ReloadStep } from '../protocol/reload-record.js';
import { count } from '../protocol/words.js';
import { adviceOnEnd, adviceOnRollback } from './advice.js';
import type { Telling } from './telling.js';

/* The service as a whole: reloads, the number of workers, and its end. */

export function aborted(t: Telling, { by }: Extract<Event, { type: 'abort' }>): void {
  const { before, after } = t.turn;
  if (after.reload === before.reload && after.lastReload === before.lastReload) return;
  t.say({ kind: 'reload', text: 'the reload is aborted', cause: `asked by ${by}` });
}

/** Steps that say more than the workers' own lines. */
export function stepped(t: Telling, { step, detail, worker: slot }: ReloadStep, generation: number): void {
  const { before, after } = t.turn;
  const record = (after.reload ?? before.reload)?.record;
  const of = `the canary of generation ${generation}`;
  switch (step) {
    case 'begun': {
      const soak = after.reload?.soak === false ? ', without a soak' : '';
      const back = after.reload?.rollback === false ? ', without a way back' : '';
      const text = `a reload to generation ${generation} begins${soak}${back}`;
      return t.say({ kind: 'reload', text, cause: `asked by ${record?.by ?? 'somebody'}: ${detail}` });
    }
    case 'mirror':
      return t.say({
        kind: 'reload',
        text: `${of} is asked what the old workers answer, ${detail}; no client reaches it`,
        cause: 'reload.mirror is "safe"',
      });
    case 'mirrored':
      return t.say({ kind: 'reload', text: `${of} may take clients`, cause: detail });
    case 'probed':
      return t.say({
        kind: 'reload',
        text: `${of} ${detail}`,
        cause: `worker ${slot} was asked for its probe`,
      });
    case 'soaked': {
      const cause =
        after.reload?.soak === false ? 'it is ready' : 'it did as well as the others while it was watched';
      return t.say({ kind: 'reload', text: `${of} is accepted: the other workers follow`, cause });
    }
    case 'rollback':
      return t.say({ kind: 'reload', text: `generation ${generation} is rolled back`, cause: detail });
    default:
      return;
  }
}

/** A record whose counts alone have changed since its verdict says nothing new. */
export function recorded(t: Telling, record: ReloadRecord): void {
  if (record.verdict === null || t.turn.before.reload === null) return;
  const { serial, generation, verdict, by, tookMs } = record;
  const what = verdict === 'rolled-back' ? 'rolled back' : verdict;
  const when = `${verdict === 'done' ? 'in' : 'after'} ${seconds(tookMs ?? 0)}`;
  t.say({
    kind: 'reload',
    text: `the reload to generation ${generation}, asked by ${by}, is ${what} ${when}`,
    cause: record.reason ?? `generation ${generation} serves every slot`,
    advice: verdict === 'rolled-back' ? adviceOnRollback(serial) : null,
  });
}

/** Where a reload is under way, the number waits for its end. */
export function willScale(t: Telling, { by }: Extract<Event, { type: 'scale' }>): void {
  const { before, after } = t.turn;
  if (after.pendingScale === null || after.pendingScale === before.pendingScale) return;
  const text = `${count(after.pendingScale, 'worker')} are wanted once the reload is over`;
  t.say({ kind: 'scale', text, cause: `asked by ${by}` });
}

/** @param why the load asked for it */
export function scaled(t: Telling, text: string, why?: string): void {
  const { before, event } = t.turn;
  const asked = event.type === 'scale' ? `asked by ${event.by}` : 'asked for while a reload was under way';
  const cause = why ?? asked;
  const known = new Set(before.slots.map(({ id }) => id));
  for (const { id } of t.turn.after.slots) {
    if (!known.has(id)) t.causes.ofSlot.set(id, `more workers are wanted: ${cause}`);
  }
  t.whyScaled = cause;
  t.say({ kind: 'scale', text, cause });
}

export function fewer(t: Telling): void {
  const { event } = t.turn;
  const by = event.type === 'scale' ? `asked by ${event.by}` : t.whyScaled;
  t.whyDrained = by === null ? 'fewer workers are wanted' : `fewer workers are wanted: ${by}`;
}

export function stopping(t: Telling, why: string): void {
  t.whyDrained = `the service stops: ${why}`;
  t.say({ kind: 'service', text: 'the service stops', cause: why });
}

export function givesUp(t: Telling, message: string): void {
  const advice = adviceOnEnd(75, message);
  t.say({
    kind: 'service',
    text: 'the master gives up: another one is to try',
    cause: message,
    advice,
  });
}

export function exits(t: Telling, code: number): void {
  const { life } = t.turn.before;
  const why = life.phase === 'stopping' ? life.why : null;
  const { event } = t.turn;
  const cause = why ?? (event.type === 'stop' ? event.why : 'it was told to stop');
  t.say({
    kind: 'exit',
    text: `the master ends with exit status ${code}`,
    cause,
    advice: adviceOnEnd(code, cause),
  });
}
