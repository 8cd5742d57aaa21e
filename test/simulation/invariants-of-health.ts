import type { Effect } from '../../src/core/effects.js';
import { ownPolicy, type Policy } from '../../src/core/policy.js';
import type { State, Worker } from '../../src/core/state.js';
import { slotOf } from '../../src/core/workers.js';
import { type Millis, tickInterval } from '../../src/protocol/limits.js';
import { here, holds, type Invariant, isMirrored, isRunning } from './transition.js';

/** What holds of silence, sickness, spares and pings in every step. */
export const healthInvariants: readonly Invariant[] = [
  {
    words:
      'a silent worker is killed no later than its limit allows, whether or not somebody still looks at it',
    broken: ({ before, event, after, effects, now, policy }) => {
      if (event.type !== 'tick' || !isRunning(after)) return undefined;
      const alive = after.workers.find(
        (worker) => isExpected(worker) && now >= limitOf(worker, ownPolicy(policy, worker)),
      );
      if (alive !== undefined) return `worker ${alive.key} lives`;
      // A master that has looked away for longer than a tick could not do it sooner.
      if (now - before.tickedAt > tickInterval) return undefined;
      const killed = keysOf(effects, 'kill');
      const late = before.workers.find(
        (worker) =>
          isExpected(worker) &&
          killed.includes(worker.key) &&
          now > limitOf(worker, ownPolicy(policy, worker)),
      );
      return late === undefined ? undefined : `worker ${late.key} was killed late`;
    },
  },
  {
    words:
      'a worker that serves or waits is looked at before it is killed for silence, once, and while it is silent',
    broken: ({ before, after, effects }) => {
      const looked = keysOf(effects, 'capture');
      if (new Set(looked).size < looked.length) return 'twice';
      const again = before.workers.find(
        ({ key, vitals }) => looked.includes(key) && vitals.silence !== null && vitals.silence.ended === null,
      );
      if (again !== undefined) return `worker ${again.key} again`;
      if (!isRunning(after)) return undefined;
      const killed = keysOf(effects, 'kill');
      const unseen = before.workers.find(
        (worker) =>
          isExpected(worker) &&
          killed.includes(worker.key) &&
          // A canary that is rolled back before it listens.
          !(isMirrored(before, worker) && after.reload?.stage.name !== 'mirror') &&
          (worker.vitals.silence?.askedAt ?? Number.NEGATIVE_INFINITY) < worker.heartbeatAt,
      );
      return unseen === undefined ? undefined : `worker ${unseen.key} unseen`;
    },
  },
  {
    words:
      'a worker is replaced for its health alone: one slot at a time, while nobody starts and no reload is under way, and once within the window',
    broken: ({ before, after, now, policy }) => {
      const treated = after.slots.filter(({ id, treatedAt }) => {
        const slot = before.slots.find((other) => other.id === id);
        return treatedAt === now && slot !== undefined && slot.treatedAt !== now;
      });
      if (treated.length > 1) return `${treated.length} slots`;
      if (treated.length === 0) return undefined;
      if (before.reload !== null) return 'in a reload';
      const again = before.slots.find(({ id, treatedAt }) => id === treated[0]?.id && treatedAt !== null);
      if (now - (again?.treatedAt ?? Number.NEGATIVE_INFINITY) < policy.restart.window) return 'again';
      const starts = (key: number) =>
        after.workers.some((worker) => worker.key === key && worker.phase === 'starting');
      // One whose time was over in this very step has been killed before.
      return before.workers.some(({ key, phase }) => phase === 'starting' && starts(key))
        ? 'while another starts'
        : undefined;
    },
  },
  {
    words: 'there are never more spares than are wanted, and they have no slot; nobody else is without one',
    broken: ({ after, policy }) => {
      const strays = after.workers.filter(
        ({ role, phase }) => (phase === 'spare') !== (role.kind === 'spare') && isNamed(phase),
      );
      if (strays.length > 0) return `worker ${strays[0]?.key}`;
      const spares = after.workers.filter(
        (worker) => worker.role.kind === 'spare' && holds(worker) && !isMirrored(after, worker),
      );
      return spares.length > policy.spares ? `${spares.length} spares` : undefined;
    },
  },
  {
    words:
      'a spare is forked only while the service serves, outside of reloads, of the proven generation, and alone',
    broken: ({ after, event, effects }) => {
      // A canary that is mirrored boots as a spare does.
      const canary = event.type === 'reload' ? event.generation : null;
      const forks = effects.flatMap((effect) =>
        effect.type === 'fork' && effect.role.kind === 'spare' && effect.generation !== canary
          ? [effect]
          : [],
      );
      if (forks.length === 0) return undefined;
      if (forks.length > 1) return 'two at once';
      if (after.life.phase !== 'serving' || after.reload !== null) return 'at this time';
      if (forks[0]?.generation !== after.generation) return `generation ${forks[0]?.generation}`;
      const starting = after.workers.filter(({ phase }) => phase === 'starting');
      return starting.length > 1 ? `while ${starting.length - 1} others start` : undefined;
    },
  },
  {
    words: 'who is promoted was a spare and gets one slot, in which no other of its generation starts',
    broken: ({ before, after, effects }) => {
      const promoted = effects.flatMap((effect) => (effect.type === 'promote' ? [effect] : []));
      if (new Set(promoted.map(({ key }) => key)).size < promoted.length) return 'twice';
      const wrong = promoted.find(({ key, slot }) => {
        const was = before.workers.find((worker) => worker.key === key);
        const is = after.workers.filter((worker) => worker.key === key);
        const alone =
          here(after, slot).filter(
            ({ phase, generation }) => phase === 'starting' && generation === was?.generation,
          ).length === 1;
        return (
          was?.phase !== 'spare' || is.length !== 1 || is[0] === undefined || slotOf(is[0]) !== slot || !alone
        );
      });
      return wrong === undefined ? undefined : `worker ${wrong.key} into slot ${wrong.slot}`;
    },
  },
  {
    words: 'nobody is forked into a slot while a spare of that generation waits, and is well',
    broken: ({ before, after, effects }) => {
      const left = after.workers.filter(({ key, phase, vitals }) => {
        const waited = before.workers.some((worker) => worker.key === key && worker.phase === 'spare');
        return waited && phase === 'spare' && vitals.health === 'healthy';
      });
      const needless = effects.find(
        (effect) =>
          effect.type === 'fork' &&
          effect.role.kind === 'slot' &&
          left.some(({ generation }) => generation === effect.generation),
      );
      return needless === undefined ? undefined : 'forked all the same';
    },
  },
  {
    words: 'one slot at most waits for memory, and only for a worker that drains',
    broken: ({ after: { slots, workers, life } }) => {
      const waiting = slots.filter(({ forkAfter }) => workers.some(({ key }) => key === forkAfter));
      if (waiting.length > 1 || (waiting.length > 0 && life.phase !== 'serving'))
        return `${waiting.length} slots`;
      const wrong = waiting.find(({ forkAfter }) =>
        workers.some((worker) => worker.key === forkAfter && !isLeaving(worker)),
      );
      return wrong === undefined ? undefined : `slot ${wrong.id}`;
    },
  },
  {
    words:
      'a slot that waits for memory is filled once its worker is gone, unless somebody asks for a worker',
    broken: ({ before, event, after, effects }) => {
      if (event.type === 'restart' || before.reload !== null || after.reload !== null) return undefined;
      const drained = event.type === 'memory' ? keysOf(effects, 'drain') : [];
      const awaited = [...drained, ...before.slots.map(({ forkAfter }) => forkAfter)];
      const there = after.workers.filter(({ key }) => awaited.includes(key));
      const filled = effects.flatMap((effect) =>
        effect.type === 'fork' ? [slotOf(effect)] : effect.type === 'promote' ? [effect.slot] : [],
      );
      const early = there.find((worker) => filled.includes(slotOf(worker)));
      return early === undefined ? undefined : `slot ${slotOf(early)}`;
    },
  },
  {
    words:
      'a serving master pings only with a quorum of workers that answer, or with a replacement on its way in time',
    broken: ({ before, after, effects, now, policy }) => {
      const pings = effects.some((effect) => effect.type === 'notify' && effect.watchdog === true);
      if (!pings || before.life.phase !== 'serving' || after.life.phase !== 'serving') return undefined;
      if (hasQuorum(after, now, policy)) return undefined;
      if (!isComingBack(after)) return 'nobody comes';
      const since = now - after.watchdog.quorumAt;
      return since > policy.hangTimeout + policy.bootTimeout ? `after ${since} ms` : undefined;
    },
  },
];

type Expected = Extract<Worker, { phase: 'ready' | 'spare' }>;

function isExpected(worker: Worker): worker is Expected {
  return worker.phase === 'ready' || worker.phase === 'spare';
}

function isNamed(phase: Worker['phase']): boolean {
  return phase === 'spare' || phase === 'ready';
}

function isLeaving(worker: Worker): boolean {
  return worker.phase === 'draining' || (worker.phase === 'dying' && worker.was === 'draining');
}

/** Where the master was late to look, by as much later. */
function limitOf({ heartbeatAt, vitals }: Expected, { hangTimeout }: Policy): Millis {
  const { silence, excusedUntil } = vitals;
  const times = silence?.capture?.state === 'starved' ? 3 : 1;
  const looking = Math.min(1_000, Math.round(hangTimeout / 4));
  return Math.max(
    Math.max(heartbeatAt, excusedUntil) + times * hangTimeout,
    (silence?.askedAt ?? 0) + looking,
  );
}

function hasQuorum(state: State, now: Millis, { pingInterval }: Policy): boolean {
  const oldest = now - 2 * (pingInterval ?? 0);
  const answers = state.slots.filter(({ id }) =>
    here(state, id).some(
      ({ phase, vitals }) =>
        phase === 'ready' && ((vitals.provedAt ?? -1) >= oldest || vitals.excusedUntil >= oldest),
    ),
  );
  return answers.length * 2 >= state.slots.length;
}

function isComingBack(state: State): boolean {
  return state.slots.some(
    ({ id, forkAt }) =>
      forkAt !== null ||
      here(state, id).some(
        (worker) => worker.phase === 'starting' || (worker.phase === 'dying' && worker.was !== 'draining'),
      ),
  );
}

function keysOf(effects: readonly Effect[], type: 'capture' | 'kill' | 'drain'): readonly number[] {
  return effects.flatMap((effect) => (effect.type === type ? [effect.key] : []));
}
