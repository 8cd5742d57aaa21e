import type { State } from '../../src/core/state.js';
import type { Invariant } from './transition.js';

/** What always holds of the worker that serves suspected requests. */
export const cellInvariants: readonly Invariant[] = [
  {
    words: 'what becomes of the cell counts for nothing else',
    broken: ({ before, event, after }) => {
      if (!('key' in event) || !before.cell.workers.some(({ key }) => key === event.key)) return undefined;
      const counts = (['deaths', 'lastDeaths', 'fatalities', 'restarts', 'slots', 'mix'] as const).filter(
        (name) => before[name] !== after[name] && !isDue(before, after, name),
      );
      return counts.length === 0 ? undefined : `${event.type} changed ${counts.join(', ')}`;
    },
  },
  {
    words: 'a cell is forked while something is kept out, and one of a generation at a time',
    broken: ({ after, effects, now, policy }) => {
      const forked = effects.flatMap((effect) => (effect.type === 'fork-cell' ? [effect.key] : []));
      if (forked.length === 0) return undefined;
      if (policy.poison.cell === 'off' || after.life.phase !== 'serving') return 'it is not wanted';
      if (!isAnyKeptOut(after, now)) return 'nothing is kept out';
      const up = after.cell.workers.filter(({ phase }) => phase === 'starting' || phase === 'ready');
      return new Set(up.map(({ generation }) => generation)).size < up.length ? 'there are two' : undefined;
    },
  },
  {
    words: 'the workers are told of a cell that serves, and of its end at once',
    broken: ({ before, after, effects, now, policy }) => {
      if (policy.poison.cell === 'off' || !isAnyKeptOut(after, now)) return undefined;
      const told = effects.findLast((effect) => effect.type === 'block');
      const serving = servingIn(after);
      if (told !== undefined && told.cell !== serving) return `told ${told.cell}, and ${serving} serves`;
      const hears = after.workers.some(({ phase }) => phase === 'ready');
      return serving !== servingIn(before) && told === undefined && hears ? 'nobody is told' : undefined;
    },
  },
  {
    words: 'nothing of the cell outlives the service',
    broken: ({ after, effects }) => {
      if (!effects.some(({ type }) => type === 'exit')) return undefined;
      const killed = effects.flatMap((effect) => (effect.type === 'kill' ? [effect.key] : []));
      const left = after.cell.workers.find(({ key }) => !killed.includes(key));
      return left === undefined ? undefined : `worker ${left.key}`;
    },
  },
];

/** A slot that was due anyway is filled by whichever event comes next. */
function isDue(before: State, after: State, name: string): boolean {
  return name === 'slots' && after.workers.length !== before.workers.length;
}

function isAnyKeptOut({ suspects }: State, now: number): boolean {
  return suspects.some(({ blockedUntil }) => blockedUntil !== null && blockedUntil > now);
}

function servingIn({ cell }: State): number | null {
  return cell.workers.findLast(({ phase }) => phase === 'ready')?.key ?? null;
}
