import type { Millis } from '../protocol/limits.js';
import type { State, Worker } from './model.js';
import { note } from './record.js';
import type { Reload, Stage } from './reload-model.js';
import { chain, chainAll, log, type Result, replaceWorker, unchanged } from './result.js';
import { tellStatus } from './status.js';
import { draining, killed } from './worker.js';

/** The reload that ends in a rollback should this worker fail; null where it is a worker like any other. */
export function trialOf({ reload }: State, { generation }: Worker): Reload | null {
  return reload?.rollback === true && generation === reload.target ? reload : null;
}

/**
 * Back to the proven generation: what starts is killed, what serves stays until its slot is served without it. Of several
 * reasons the first one counts.
 */
export function rollBack(state: State, reason: string, now: Millis): Result {
  const { reload } = state;
  if (reload === null) return unchanged(state);
  const { target, stage } = reload;
  const begun = stage.name === 'rollback' ? unchanged(state) : begin(state, { reload, reason, now });
  const onTrial = state.workers.filter(({ generation }) => generation === target);
  const dismissed = chain(begun, (next) =>
    chainAll(
      next,
      onTrial.map((worker) => (next) => dismiss(next, worker, { now, reload: target })),
    ),
  );
  return chain(dismissed, (next) => tellStatus(next, now, {}));
}

function begin(
  state: State,
  { reload, reason, now }: { reload: Reload; reason: string; now: Millis },
): Result {
  const stage: Stage = { name: 'rollback', reason };
  const { release } = reload.record;
  const begun: Result = [
    { ...state, reload: { ...reload, stage } },
    [log('error', `generation ${reload.target} is rolled back: ${reason}`, { release })],
  ];
  return chain(begun, (next) => note(next, now, { step: 'rollback', detail: reason }));
}

/** From here on its death is no news, as that of a worker that drains. */
function dismiss(state: State, worker: Worker, { now, reload }: { now: Millis; reload: number }): Result {
  if (worker.phase !== 'starting') return unchanged(state);
  const leaving = killed(draining(worker, { now, deadline: now, reload }), 'rolled back before it listened');
  return [replaceWorker(state, leaving), [{ type: 'kill', key: worker.key }]];
}
