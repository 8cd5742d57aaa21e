import type { Effect } from '../../src/core/effects.js';
import { drainingPerSlot, ownPolicy } from '../../src/core/policy.js';
import { forksInto, here, holds, type Invariant, isExtra, isRunning, serves } from './transition.js';

/** What holds of slots and their workers in every step. */
export const slotInvariants: readonly Invariant[] = [
  {
    words: 'every worker has a key of its own, which is never given again',
    broken: ({ after: { workers, nextKey } }) => {
      const keys = workers.map(({ key }) => key);
      if (new Set(keys).size !== keys.length) return `keys ${keys}`;
      const next = keys.find((key) => key >= nextKey);
      return next === undefined ? undefined : `key ${next} is still to be given`;
    },
  },
  {
    words: 'no slot is empty for ever: somebody holds it, a fork is due, or it waits for memory',
    broken: ({ after }) => {
      if (!isRunning(after)) return undefined;
      const lost = after.slots.find(
        ({ id, forkAt, forkAfter }) =>
          forkAt === null && !here(after, id).some((worker) => holds(worker) || worker.key === forkAfter),
      );
      return lost === undefined ? undefined : `slot ${lost.id}`;
    },
  },
  {
    words: 'a slot never has two servers of one generation, and two of two only while one is on trial',
    broken: ({ after }) => {
      if (!isRunning(after)) return undefined;
      const crowded = after.slots.find(({ id }) => {
        const ready = here(after, id).filter(({ phase }) => phase === 'ready');
        const generations = new Set(ready.map(({ generation }) => generation));
        return (
          generations.size < ready.length || ready.filter((worker) => !isExtra(after, worker)).length > 1
        );
      });
      return crowded === undefined ? undefined : `slot ${crowded.id}`;
    },
  },
  {
    words: 'no worker is forked, and none is due, while the service stops',
    broken: ({ after, effects }) => {
      if (isRunning(after) || after.life.phase === 'idle') return undefined;
      if (effects.some(({ type }) => type === 'fork' || type === 'promote')) return 'a fork';
      const due = after.slots.some(({ forkAt, forkAfter }) => forkAt !== null || forkAfter !== null);
      return due ? 'a fork is due' : undefined;
    },
  },
  {
    words:
      'a slot that is served stays served, unless its worker dies or says that it will, falls silent, is in the way of memory, or is not wanted any more',
    broken: ({ before, event, after, effects }) => {
      if (!isRunning(after)) return undefined;
      const killed = effects.flatMap((effect) => (effect.type === 'kill' ? [effect.key] : []));
      const isEnd = event.type === 'exited' || event.type === 'fork-failed' || event.type === 'failed';
      const fat = after.slots.flatMap(({ forkAfter }) => (event.type === 'memory' ? [forkAfter] : []));
      const gone = [...(isEnd ? [event.key] : []), ...killed, ...fat];
      const lost = after.slots.find(
        ({ id }) =>
          serves(before, id) &&
          !serves(after, id) &&
          !here(before, id).some(({ key, phase }) => phase === 'ready' && gone.includes(key)),
      );
      return lost === undefined ? undefined : `slot ${lost.id}`;
    },
  },
  {
    words: 'a worker that serves is only killed when it was silent for the limit',
    broken: ({ before, after, effects, now, policy }) => {
      if (!isRunning(after)) return undefined;
      const killed = before.workers.find(
        (worker) =>
          worker.phase === 'ready' &&
          now - Math.max(worker.heartbeatAt, worker.vitals.excusedUntil) <
            ownPolicy(policy, worker).hangTimeout &&
          effects.some(({ type, ...rest }) => type === 'kill' && 'key' in rest && rest.key === worker.key),
      );
      return killed === undefined ? undefined : `worker ${killed.key} was killed`;
    },
  },
  {
    words: 'of a slot no more workers drain at once than are allowed',
    broken: ({ after }) => {
      if (!isRunning(after)) return undefined;
      const crowded = after.slots.find(
        ({ id }) => here(after, id).filter(({ phase }) => phase === 'draining').length > drainingPerSlot,
      );
      return crowded === undefined ? undefined : `slot ${crowded.id}`;
    },
  },
  {
    words: 'who drains is told once, and whether anybody goes on accepting; once more where patience ends',
    broken: ({ before, event, after, effects }) => {
      // Another master accepts.
      const isPatient = before.life.phase === 'stopping' && before.life.isPatient === true;
      const goesOn = before.isBeside || event.type === 'retire' || isPatient;
      const drains = effects.flatMap((effect) => (effect.type === 'drain' ? [effect] : []));
      const wrong = drains.find(({ key, last }) => {
        const all = [...before.workers, ...before.cell.workers];
        const phase = all.find((worker) => worker.key === key)?.phase;
        const wasUp = phase === 'starting' || phase === 'spare' || phase === 'ready';
        // Nobody but the workers connects to the cell: it is never the last who accepts.
        if (before.cell.workers.some((worker) => worker.key === key)) return !wasUp || last;
        if (isPatient) return phase !== 'draining' || last;
        return !wasUp || last === (isRunning(after) || goesOn);
      });
      if (wrong !== undefined) return `worker ${wrong.key}`;
      return new Set(drains.map(({ key }) => key)).size < drains.length ? 'twice' : undefined;
    },
  },
  {
    words: 'every request gets exactly one answer, and nothing else gets any',
    broken: ({ event, effects }) => {
      const answers = effects.flatMap((effect) => (effect.type === 'answer' ? [effect.request] : []));
      const expected = 'request' in event ? [event.request] : [];
      return answers.join() === expected.join() ? undefined : `${answers.length} answers`;
    },
  },
  {
    words: 'a slot that waits for its backoff is not filled before, unless somebody asks for it',
    broken: ({ before, event, after, effects, now }) => {
      const asksForIt = event.type === 'restart' || event.type === 'reload';
      if (asksForIt || !effects.some(({ type }) => type === 'fork')) return undefined;
      const early = before.slots.find(({ id, forkAt }) => {
        const delay = delayAfterDeath(effects, id);
        const waits = delay === undefined ? (forkAt ?? now) > now : delay > 0;
        return waits && forksInto(effects, id).includes(after.generation);
      });
      return early === undefined ? undefined : `slot ${early.id}`;
    },
  },
];

/** What the log is told of when a slot whose worker has died is filled again. */
function delayAfterDeath(effects: readonly Effect[], id: number): number | undefined {
  const delays = effects.flatMap((effect) =>
    effect.type === 'log' &&
    effect.message.startsWith(`worker ${id} `) &&
    typeof effect.fields?.restartInMs === 'number'
      ? [effect.fields.restartInMs]
      : [],
  );
  return delays[0];
}
