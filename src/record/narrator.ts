import type { Effect, LogEffect } from '../core/effects.js';
import { nameIn } from '../core/workers.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { WhyLine } from '../protocol/why.js';
import { rules } from './rules.js';
import { admitted, excused, lookedAt, looks, stalled } from './tell-health.js';
import { aborted, exits, recorded, stepped, willScale } from './tell-service.js';
import { drains, killed, starts } from './tell-workers.js';
import { type Causes, Telling } from './telling.js';
import type { Turn } from './turn.js';

/*
 * Puts the core's turns into words. What happened stands in the effects, in their order; why, in the states before and
 * after, and in what an earlier turn has decided: a worker is forked because the one before it died, is drained because
 * that one is ready. These causes are carried from turn to turn by slot and by worker (`Causes`).
 *
 * The core's log effects are sentences already. Those that say what another effect or the state says as well are left out
 * (`rules.ts`), those that no rule knows become lines of their own.
 */

export interface Narrator {
  /** What a turn has to tell, cause before effect; mostly nothing. */
  narrate(turn: Turn): readonly WhyLine[];
}

export function createNarrator(): Narrator {
  const causes: Causes = { ofSlot: new Map(), ofStart: new Map(), ofEnd: new Map(), ofIllness: new Map() };
  return {
    narrate: (turn) => {
      if (turn.effects.length === 0 && !speaksForItself.has(turn.event.type)) return [];
      return tell(new Telling(turn, causes));
    },
  };
}

/** Events that are news though nothing is done about them. */
const speaksForItself: ReadonlySet<string> = new Set(['captured', 'excused']);

function tell(t: Telling): readonly WhyLine[] {
  tellEvent(t);
  const died = new Set(t.deaths.map(({ key }) => key));
  for (const effect of t.turn.effects) tellEffect(t, effect, died);
  admitted(t);
  forgetGone(t);
  return t.lines;
}

/** What happened, where no effect says it. */
function tellEvent(t: Telling): void {
  const { event } = t.turn;
  switch (event.type) {
    case 'captured':
      return lookedAt(t, event);
    case 'excused':
      return excused(t, event);
    case 'abort':
      return aborted(t, event);
    case 'scale':
      return willScale(t, event);
    default:
      return;
  }
}

function tellEffect(t: Telling, effect: Effect, died: ReadonlySet<WorkerKey>): void {
  switch (effect.type) {
    case 'fork':
      return starts(t, effect.key, `${nameIn(t.turn.after, effect)} starts`);
    case 'promote':
      return takesOver(t, effect);
    case 'capture':
      return looks(t, effect.key);
    case 'drain':
      return drains(t, effect.key);
    case 'kill':
      // That of a death is told with it.
      return died.has(effect.key) ? undefined : killed(t, effect.key);
    case 'step':
      return stepped(t, effect.step, effect.generation);
    case 'record':
      return recorded(t, effect.record);
    case 'stall':
      return stalled(t, effect);
    case 'log':
      return tellLog(t, effect);
    case 'exit':
      return exits(t, effect.code);
    default:
      return;
  }
}

/** A spare gets a slot, or a canary has been through its mirror. */
function takesOver(t: Telling, { key, slot }: Extract<Effect, { type: 'promote' }>): void {
  const isCanary = t.worker(key)?.generation === t.turn.after.reload?.target;
  starts(t, key, `${isCanary ? 'the canary begins to listen' : 'a spare takes over'} as worker ${slot}`);
}

function tellLog(t: Telling, log: LogEffect): void {
  for (const { pattern, tell } of rules) {
    const match = pattern.exec(log.message);
    if (match !== null) return tell(t, match, log);
  }
  t.say({ kind: 'note', text: log.message, cause: t.asked(log), worker: t.subjectOf(log) });
}

function forgetGone({ turn, causes }: Telling): void {
  const { event, after } = turn;
  if (event.type !== 'exited' && event.type !== 'fork-failed') return;
  if (after.workers.some(({ key }) => key === event.key)) return;
  const { ofStart, ofEnd, ofIllness } = causes;
  for (const map of [ofStart, ofEnd, ofIllness]) map.delete(event.key);
}
