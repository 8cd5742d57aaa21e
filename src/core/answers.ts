import type { Answer } from '../protocol/control-api.js';
import type { Asked } from './events.js';
import type { State } from './model.js';
import { log, type Result } from './result.js';

export function answer(state: State, request: number, answer: Answer): Result {
  return [state, [{ type: 'answer', request, answer }]];
}

/** Said to who asked, and in the log: signals have nobody who reads an answer. */
export function refused(state: State, { request, by }: Asked, reason: string): Result {
  return [
    state,
    [
      { type: 'answer', request, answer: { accepted: false, reason } },
      log('warn', `refused: ${reason}`, { by }),
    ],
  ];
}

/** Why nothing can be changed now; null where it can. */
export function refusal({ life, reload }: State): string | null {
  if (life.phase === 'stopping' || life.phase === 'ended') return 'the service is stopping';
  if (life.phase !== 'serving') return 'the service is still starting';
  return reload === null
    ? null
    : `a reload to generation ${reload.target} is under way (${reload.stage.name})`;
}
