import type { State } from '../../src/core/state.js';
import { type Invariant, isAccepted, isRunning, isUp } from './transition.js';

/** What holds of a canary that is judged before it takes a client, in every step. */
export const mirrorInvariants: readonly Invariant[] = [
  {
    words: 'where the configuration says so, a canary boots without listening, unless nobody is to watch it',
    broken: ({ event, effects, policy }) => {
      if (event.type !== 'reload' || !isAccepted(effects)) return undefined;
      const isWanted =
        policy.reload.mirror === 'safe' && policy.kind === 'server' && event.soak && event.rollback;
      const forks = effects.flatMap((effect) =>
        effect.type === 'fork' && effect.generation === event.generation ? [effect.role.kind] : [],
      );
      const waits = effects.some(
        (effect) =>
          effect.type === 'fork' && effect.generation === event.generation && effect.role.kind === 'spare',
      );
      if (waits !== isWanted) return `forked: ${forks.join()}`;
      return waits && forks.length > 1 ? 'others besides' : undefined;
    },
  },
  {
    words: 'no client reaches a canary that is mirrored: it has no slot, does not serve, and is alone',
    broken: ({ after }) => {
      const { reload } = after;
      if (reload?.stage.name !== 'mirror') return undefined;
      const { target, stage } = reload;
      const news = after.workers.filter((worker) => worker.generation === target && isUp(worker));
      const wrong = news.find(
        ({ key, role, phase }) => key !== stage.key || role.kind !== 'spare' || phase !== 'spare',
      );
      return wrong === undefined ? undefined : `worker ${wrong.key} is ${wrong.phase}`;
    },
  },
  {
    words:
      'a mirrored canary begins to listen once enough is compared, its time is over, it cannot be asked or nobody is left to compare it with, and never with a verdict against it',
    broken: ({ before, event, effects, policy, after }) => {
      const stage = before.reload?.stage;
      if (stage?.name !== 'mirror') return undefined;
      const listens = effects.some((effect) => effect.type === 'promote' && effect.key === stage.key);
      if (!listens) return undefined;
      if (isBad(stage.tally)) return 'with a verdict against it';
      const failed = event.type === 'mirror-opened' && event.failure !== null;
      const enough = stage.tally.pairs + (event.type === 'mirrored' ? 1 : 0) >= policy.reload.mirrorRequests;
      if (failed || enough || after.tickedAt >= stage.until) return undefined;
      return compared(after) ? 'too early' : undefined;
    },
  },
  {
    words: 'a canary that alone fails many mirrored requests is rolled back, and killed',
    broken: ({ before, event, after, effects }) => {
      const stage = after.reload?.stage;
      if (stage?.name === 'mirror' && isBad(stage.tally)) return 'it goes on';
      const was = before.reload?.stage;
      if (event.type !== 'mirrored' || was?.name !== 'mirror' || stage?.name !== 'rollback') return undefined;
      return effects.some((effect) => effect.type === 'kill' && effect.key === was.key)
        ? undefined
        : 'it lives';
    },
  },
  {
    words: 'old workers tell of requests only while a canary is mirrored, and are told when it is over',
    broken: ({ before, after, effects }) => {
      const orders = effects.flatMap((effect) => (effect.type === 'mirror' ? [effect] : []));
      const isOn = after.reload?.stage.name === 'mirror';
      if (!isOn && orders.some(({ perSecond }) => perSecond > 0)) return 'outside of a mirror';
      const was = before.reload?.stage;
      if (isOn || was?.name !== 'mirror' || was.openedAt === null || !isRunning(after)) return undefined;
      const told = new Set(orders.map(({ key }) => key));
      const untold = after.workers.find(
        ({ key, phase, generation }) =>
          phase === 'ready' &&
          generation === before.generation &&
          before.workers.some((worker) => worker.key === key && worker.phase === 'ready') &&
          !told.has(key),
      );
      return untold === undefined ? undefined : `worker ${untold.key} goes on`;
    },
  },
];

/** Beyond any doubt: the verdict of mirror.ts comes sooner. */
function isBad({ failed, mended, pairs }: { failed: number; mended: number; pairs: number }): boolean {
  return mended === 0 && failed >= 20 && failed > pairs / 5;
}

function compared({ workers, generation }: State): boolean {
  return workers.some((worker) => worker.phase === 'ready' && worker.generation === generation);
}
