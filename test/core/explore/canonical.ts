import type { Millis, State, Worker, WorkerKey } from '../../../src/core/model.js';
import type { World } from './world.js';

/**
 * What decides how a world goes on, as a string. Two worlds with the same one are taken for the same: keys and
 * generations are named by their part, times are seen from now, and what is only told or counted is left out.
 */
export function canonical({ state, now, hung, left }: World): string {
  const { slots, workers } = state;
  const dues = slots.map(
    ({ id, forkAt, crashes }) => `${id}:${forkAt === null ? '' : forkAt - now}${crashes > 0 ? 'c' : ''}`,
  );
  const people = workers.map(
    (worker) => describe(state, worker, now) + (hung.includes(worker.key) ? '!' : ''),
  );
  return [
    life(state, now),
    reload(state, now),
    state.deaths.length,
    dues.join(),
    people.join(),
    Object.values(left).join(),
  ].join('|');
}

function life({ life }: State, now: Millis): string {
  if (life.phase !== 'stopping') return life.phase;
  const { deadline, released, killedAt, exitCode } = life;
  return `stopping${deadline - now},${released},${killedAt === null ? '' : now - killedAt},${exitCode}`;
}

function reload(state: State, now: Millis): string {
  const { reload, pendingScale } = state;
  if (reload === null) return '';
  const { stage } = reload;
  const index = (key: WorkerKey) => state.workers.findIndex((worker) => worker.key === key);
  const detail =
    stage.name === 'canary'
      ? index(stage.key)
      : stage.name === 'soak'
        ? [
            index(stage.key),
            stage.until - now,
            stage.askAt - now,
            stage.probeBy === null ? '' : stage.probeBy - now,
          ]
        : '';
  return `${stage.name}${detail},${reload.rollback},${reload.soak},${pendingScale}`;
}

function describe(state: State, worker: Worker, now: Millis): string {
  const start = `${worker.slot}${generation(state, worker)}`;
  switch (worker.phase) {
    case 'starting':
      return `${start}s${worker.deadline - now}`;
    case 'spare':
      return `${start}w${now - worker.beatAt}`;
    case 'ready':
      return `${start}r${now - worker.beatAt}`;
    case 'draining':
      return `${start}d${now - worker.beatAt},${worker.deadline - now},${worker.closed}`;
    case 'dying':
      return `${start}x${worker.was[0]}`;
  }
}

function generation({ generation, reload }: State, worker: Worker): string {
  if (worker.generation === generation) return 'p';
  if (worker.generation === reload?.target) return 't';
  return worker.generation === reload?.record.from ? 'f' : 'o';
}
