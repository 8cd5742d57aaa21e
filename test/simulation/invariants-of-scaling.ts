import { isEnding } from '../../src/core/workers.js';
import { boundsOf } from '../../src/settings/worker-count.js';
import { type Invariant, isAccepted, isRunning, type Transition } from './transition.js';

/** Nobody has asked for the change in the number of slots, and none that was asked for was waiting. */
export function isScaledByLoad({
  before,
  event,
  after,
}: Pick<Transition, 'before' | 'event' | 'after'>): boolean {
  return event.type === 'tick' && before.reload === null && after.slots.length !== before.slots.length;
}

/**
 * How many slots were given back because their workers did not start: above the lower end of the range, each after a second
 * death in a row before it listened, and neither in a reload nor while an operator holds the number.
 */
export function givenBack({
  before,
  after,
  policy,
}: Pick<Transition, 'before' | 'after' | 'policy'>): number {
  const { min, max } = boundsOf(policy.workers);
  if (min === max || before.reload !== null || before.scaling.held || after.slots.length < min) return 0;
  const { cap } = after.scaling;
  if (cap === null || cap === before.scaling.cap || cap.to !== after.slots.length) return 0;
  const left = new Set(after.slots.map(({ id }) => id));
  return before.slots.filter(({ id, bootFailures }) => !left.has(id) && bootFailures > 0).length;
}

/** What holds in every step of a number of workers that follows the load. */
export const scalingInvariants: readonly Invariant[] = [
  {
    words: 'the load changes the number of workers only where that is a range, and leads into it',
    broken: ({ before, event, after, policy }) => {
      if (!isRunning(after) || !isScaledByLoad({ before, event, after })) return undefined;
      const { min, max } = boundsOf(policy.workers);
      if (min === max) return 'the number is fixed';
      const { length } = after.slots;
      return length < min || length > max ? `${length} of ${min} to ${max}` : undefined;
    },
  },
  {
    words:
      'the load changes nothing in a reload, before a stop, while a worker starts, waits or is gone, while memory is short, or while an operator holds the number',
    broken: ({ before, event, after, now, policy }) => {
      if (!isRunning(after) || !isScaledByLoad({ before, event, after })) return undefined;
      if (before.slots.length - after.slots.length === givenBack({ before, after, policy })) return undefined;
      if (before.reload !== null || after.reload !== null) return 'a reload';
      if (before.scaling.held) return 'held';
      if (before.pressure.readings >= 3) return 'memory';
      if (before.life.phase !== 'serving' || isEnding(before.life)) return 'a stop';
      const starts = before.workers.filter(({ phase, role }) => phase === 'starting' && role.kind === 'slot');
      // One whose time was over in this very step has been killed before.
      const isThere = (key: number) =>
        after.workers.some((other) => other.key === key && other.phase === 'starting');
      if (starts.some(({ key }) => isThere(key))) return 'a start';
      const waits = before.slots.find(({ forkAt, forkAfter }) => forkAt !== null || forkAfter !== null);
      if (waits !== undefined) return `slot ${waits.id} waits`;
      const died = before.deaths.filter((at) => now - at < policy.restart.window).length;
      return died > 1 ? `${died} deaths` : undefined;
    },
  },
  {
    words:
      'a worker that the load asked for, and that died twice in a row before it listened, is not tried again at once',
    broken: ({ before, after, policy }) => {
      const { min, max } = boundsOf(policy.workers);
      if (min === max || !isRunning(after) || isEnding(after.life)) return undefined;
      if (before.life.phase !== 'serving' || before.reload !== null || after.reload !== null)
        return undefined;
      if (before.scaling.held || after.scaling.held || after.slots.length <= min) return undefined;
      const again = after.slots.find(({ id, bootFailures }) => {
        const failures = before.slots.find((slot) => slot.id === id)?.bootFailures ?? 0;
        return bootFailures > failures && bootFailures > 1;
      });
      return again === undefined ? undefined : `slot ${again.id}`;
    },
  },
  {
    words:
      'what did not start is not asked for again until `scale.down_after` is over, unless somebody changes something',
    broken: ({ before, event, after, now }) => {
      const { cap } = before.scaling;
      if (cap === null || now >= cap.until || !isRunning(after)) return undefined;
      if (event.type === 'scale' || before.reload !== null || after.reload !== null) return undefined;
      const { length } = after.slots;
      return length > Math.max(cap.to, before.slots.length)
        ? `${length}, not more than ${cap.to}`
        : undefined;
    },
  },
  {
    words: 'a number within the range leaves it only where an operator asks for another, which is then held',
    broken: ({ before, after, policy }) => {
      if (before.life.phase !== 'serving' || !isRunning(after)) return undefined;
      const { min, max } = boundsOf(policy.workers);
      if (min === max) return after.scaling.held ? 'a fixed number is held' : undefined;
      const isWithin = ({ length }: readonly unknown[]): boolean => length >= min && length <= max;
      return isWithin(before.slots) && !isWithin(after.slots) && !after.scaling.held
        ? `${after.slots.length} of ${min} to ${max}`
        : undefined;
    },
  },
  {
    words: 'a number that an operator asked for is held until it may follow the load, or a reload is done',
    broken: ({ before, event, after, effects, policy }) => {
      const { min, max } = boundsOf(policy.workers);
      if (min === max || before.life.phase !== 'serving' || !isRunning(after)) return undefined;
      const isAsked = event.type === 'scale' && isAccepted(effects);
      if (isAsked)
        return after.scaling.held === !('auto' in event.change) ? undefined : `held ${after.scaling.held}`;
      const [was, is] = [before.scaling.held, after.scaling.held];
      if (!was) return is ? 'nobody asked' : undefined;
      const isOver = before.reload !== null && after.reload === null && after.lastReload?.verdict === 'done';
      const isDue = isOver && before.pendingScale === null;
      return is === isDue ? (is ? 'still held' : 'it was let go') : undefined;
    },
  },
];
