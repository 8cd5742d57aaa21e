import type { Reload } from '../../src/core/state.js';
import { isEnding, slotOf } from '../../src/core/workers.js';
import { givenBack, isScaledByLoad } from './invariants-of-scaling.js';
import { type Invariant, isAccepted, isRunning, isUp, serves, type Transition } from './transition.js';

/** It ends in this step, perhaps because another takes over. */
function ended({ before, after }: Transition): Reload | null {
  const isOver = before.reload !== null && after.reload?.target !== before.reload.target;
  return isOver ? before.reload : null;
}

/** It neither gets on nor has anything to go back to. */
function isStuck({ reload, slots }: Transition['before']): boolean {
  const hasNoWayBack = reload !== null && (!reload.rollback || reload.stage.name === 'rollback');
  return hasNoWayBack && slots.some(({ bootFailures }) => bootFailures > 0);
}

/** What holds of requests and reloads in every step. */
export const reloadInvariants: readonly Invariant[] = [
  {
    words: 'a reload is accepted only while the service serves and no other is under way that gets on',
    broken: ({ before, event, effects }) => {
      if (event.type !== 'reload') return undefined;
      const accepted = isAccepted(effects);
      const told = effects.filter((effect) => effect.type === 'notify' && effect.reloading === true).length;
      if (told !== (accepted ? 1 : 0)) return `${told} times RELOADING`;
      const serves = before.life.phase === 'serving' && !isEnding(before.life);
      const isFree = serves && (before.reload === null || isStuck(before));
      if (!accepted && isFree && event.generation > newest(before)) return 'refused';
      return accepted && !isFree ? 'accepted' : undefined;
    },
  },
  {
    words: 'the start, and the end of a reload, are told by exactly one READY each; a stopped reload by none',
    broken: (transition) => {
      const { before, after, effects } = transition;
      const ready = effects.filter((effect) => effect.type === 'notify' && effect.ready === true).length;
      const started = before.life.phase === 'starting' && after.life.phase === 'serving';
      const reloaded = ended(transition) !== null && after.life.phase === 'serving';
      return ready === Number(started || reloaded) ? undefined : `${ready} times READY`;
    },
  },
  {
    words: 'every reload leaves exactly one record with its verdict when it ends, and none before',
    broken: (transition) => {
      const { after, effects } = transition;
      const reload = ended(transition);
      const verdicts = effects.flatMap((effect) =>
        effect.type === 'step' && effect.step.step === 'verdict' ? [effect.generation] : [],
      );
      if (verdicts.join() !== (reload === null ? [] : [reload.target]).join())
        return `${verdicts.length} verdicts`;
      if (reload === null) return undefined;
      const verdict = after.lastReload?.verdict;
      if (after.lastReload?.generation !== reload.target) return 'not kept';
      const usual = isRunning(after) ? ['done', 'rolled-back'] : ['stopped'];
      const possible = after.reload === null ? usual : ['superseded'];
      if (!possible.includes(verdict ?? '')) return `verdict ${verdict}`;
      const records = effects.filter(({ type }) => type === 'record').length;
      return records === 0 ? 'no record' : undefined;
    },
  },
  {
    words: 'a reload is under way, and a scale waits for it, only while the service serves',
    broken: ({ after: { life, reload, pendingScale } }) => {
      if (reload !== null && life.phase !== 'serving') return `a reload while ${life.phase}`;
      return pendingScale !== null && reload === null ? 'a scale waits for nothing' : undefined;
    },
  },
  {
    words: 'an abort of a reload is accepted, and leads to a rollback; that of a rollback ends it',
    broken: ({ before, event, after, effects }) => {
      if (event.type !== 'abort') return undefined;
      const stage = after.reload?.stage.name;
      if (isAccepted(effects) !== (before.reload !== null))
        return before.reload === null ? 'of nothing' : 'refused';
      if (before.reload === null) return undefined;
      if (before.reload.stage.name === 'rollback' && after.reload !== null) return 'it goes on';
      return stage === 'rollback' || after.lastReload?.verdict === 'rolled-back'
        ? undefined
        : `stage ${stage}`;
    },
  },
  {
    words:
      'the number of slots changes only as asked for, at once or after the reload that is under way, by the load, or where a worker does not start',
    broken: ({ before, event, after, effects, policy }) => {
      const { length } = after.slots;
      if (before.life.phase !== 'serving' || !isRunning(after)) return undefined;
      if (after.reload !== null) return length === before.slots.length ? undefined : 'in a reload';
      if (isScaledByLoad({ before, event, after })) return undefined;
      const fewer = givenBack({ before, after, policy });
      const change = event.type === 'scale' && isAccepted(effects) ? event.change : { add: 0 };
      const asked = 'auto' in change ? { add: 0 } : change;
      const wanted = 'auto' in change ? before.slots.length : (before.pendingScale ?? before.slots.length);
      const expected = 'to' in asked ? asked.to : wanted + asked.add - fewer;
      return length === expected ? undefined : `${length} slots instead of ${expected}`;
    },
  },
  {
    words: 'no generation counts as proven that was not soaked and did not answer its probe',
    broken: ({ before, event, after, policy }) => {
      if (after.generation === before.generation) return undefined;
      if (event.type === 'reload' && !event.rollback) return undefined;
      const { reload } = before;
      // One that counted as proven from the start has come to nothing.
      if (reload?.rollback === false && after.generation === reload.record.from) return undefined;
      if (reload === null || after.generation !== reload.target) return `generation ${after.generation}`;
      const steps = after.lastReload?.steps ?? [];
      const at = (step: string) => steps.find((entry) => entry.step === step)?.atMs;
      const listened = steps.find(
        ({ step, generation }) => step === 'ready' && generation === reload.target,
      )?.atMs;
      const soaked = at('soaked');
      if (soaked === undefined || listened === undefined) return 'no soak';
      if (reload.soak && soaked - listened < policy.reload.soak) return `soaked for ${soaked - listened} ms`;
      return policy.reload.probe !== null && at('probed') === undefined ? 'no probe' : undefined;
    },
  },
  {
    words:
      'a new generation starts in one slot at a time, in two where it is not watched, and is on trial in no more',
    broken: ({ after, effects }) => {
      const { reload } = after;
      if (reload === null) return undefined;
      const starting = after.workers.filter(
        ({ phase, generation }) => phase === 'starting' && generation === reload.target,
      );
      const forks = effects.filter(
        ({ type, ...rest }) => type === 'fork' && 'generation' in rest && rest.generation === reload.target,
      );
      const { name } = reload.stage;
      if (name === 'rollback')
        return starting.length + forks.length > 0 ? 'one more in a rollback' : undefined;
      const most = reload.soak ? 1 : 2;
      if (reload.rollback && starting.length > most) return `${starting.length} start`;
      if (name === 'rolling') return undefined;
      const onTrial = after.workers.filter(({ generation }) => generation === reload.target);
      return onTrial.length > most ? `${onTrial.length} on trial` : undefined;
    },
  },
  {
    words:
      'a death of the generation on trial ends the trial, and counts neither in the intensity nor in the backoff',
    broken: ({ before, event, after }) => {
      if (event.type !== 'exited' && event.type !== 'fork-failed') return undefined;
      const worker = before.workers.find(({ key }) => key === event.key);
      const { reload } = before;
      if (worker === undefined) return undefined;
      const { lastReload } = before;
      const wasTried = lastReload?.verdict === 'rolled-back' && worker.generation === lastReload.generation;
      // One that stayed, since the generation before does not start any more, is a worker like any other.
      if (wasTried && !isUp(worker) && after.deaths !== before.deaths) return 'it counts after the verdict';
      if (reload?.rollback !== true || worker.generation !== reload.target) return undefined;
      if (after.deaths !== before.deaths || after.restarts !== before.restarts) return 'it counts';
      if (worker.phase === 'draining' || (worker.phase === 'dying' && worker.was === 'draining'))
        return undefined;
      const isTrial = after.reload?.stage.name ?? 'over';
      return isTrial === 'rollback' || isTrial === 'over' ? undefined : `it goes on (${isTrial})`;
    },
  },
  {
    words:
      'after the verdict every slot is served by the generation that it names, and by no other; ' +
      'but where that does not start, or the operator did not want to wait',
    broken: ({ before, event, after }) => {
      if (before.reload === null || after.reload !== null || !isRunning(after)) return undefined;
      const { target, record } = before.reload;
      const done = after.lastReload?.verdict === 'done';
      const expected = done ? target : record.from;
      if (after.generation !== expected) return `generation ${after.generation}`;
      if (event.type === 'abort') return undefined;
      const faltering: ReadonlySet<number | null> = new Set(
        before.slots.concat(after.slots).flatMap((slot) => (slot.bootFailures > 0 ? [slot.id] : [])),
      );
      const stranger = after.workers.find(
        (worker) =>
          isUp(worker) && worker.generation !== expected && (done || !faltering.has(slotOf(worker))),
      );
      if (stranger !== undefined) return `worker ${stranger.key} of generation ${stranger.generation}`;
      // A scale that waited may have added slots just now.
      const unserved = before.slots.find(
        ({ id }) =>
          after.slots.some((slot) => slot.id === id) && !serves(after, id) && (done || !faltering.has(id)),
      );
      return unserved === undefined ? undefined : `slot ${unserved.id} is not served`;
    },
  },
];

function newest({ generation, reload, lastReload }: Transition['before']): number {
  return Math.max(generation, reload?.target ?? 0, lastReload?.generation ?? 0);
}
