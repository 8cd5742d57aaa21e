import type { Millis } from '../protocol/limits.js';
import type { ReloadRecord, ReloadStep } from '../protocol/reload-record.js';
import { type Result, unchanged } from './result.js';
import type { Reload, State, Worker } from './state.js';
import { connectionsAccepted } from './status.js';
export interface Noted {
  readonly step: ReloadStep['step'];
  readonly worker?: Worker;
  readonly detail?: string;
}

/** Writes a step into the record of the reload that is under way, and tells who follows it. */
export function note(state: State, now: Millis, { step, worker, detail = '' }: Noted): Result {
  const { reload } = state;
  if (reload === null) return unchanged(state);
  const entry: ReloadStep = {
    at: now - reload.startedAt,
    step,
    worker: worker?.slot ?? null,
    generation: worker?.generation ?? null,
    detail,
  };
  const record = { ...reload.record, steps: [...reload.record.steps, entry] };
  return [
    { ...state, reload: { ...reload, record } },
    [{ type: 'step', generation: reload.target, step: entry }],
  ];
}

/** What became of requests on a worker that a reload replaced, whether that reload is over by now or not. */
export function countRequests(
  state: State,
  generation: number | null,
  { moved = 0, lost = 0 }: { readonly moved?: number; readonly lost?: number },
): Result {
  if (generation === null || (moved === 0 && lost === 0)) return unchanged(state);
  const { reload, lastReload } = state;
  if (reload?.target === generation) {
    return unchanged({ ...state, reload: { ...reload, record: added(reload.record, { moved, lost }) } });
  }
  if (lastReload?.generation !== generation) return unchanged(state);
  const record = added(lastReload, { moved, lost });
  return [{ ...state, lastReload: record }, [{ type: 'record', record }]];
}

/** The last of the workers that the last reload replaced is gone: nothing more is added to its record. */
export function closeRecord(state: State, generation: number | null): Result {
  const { lastReload, acceptedBefore } = state;
  if (lastReload === null || generation === null || lastReload.generation !== generation)
    return unchanged(state);
  const others = state.workers.some((worker) => replacedBy(worker) === generation);
  if (others || acceptedBefore === null) return unchanged(state);
  const record = { ...lastReload, accepted: connectionsAccepted(state) - acceptedBefore };
  return [{ ...state, lastReload: record, acceptedBefore: null }, [{ type: 'record', record }]];
}

/** The record as it stands now, of a reload that is under way. */
export function currentRecord(state: State, reload: Reload): ReloadRecord {
  return { ...reload.record, accepted: connectionsAccepted(state) - reload.acceptedBefore };
}

/** The generation of the reload that replaced a worker. */
export function replacedBy(worker: Worker): number | null {
  return worker.phase === 'draining' || worker.phase === 'dying' ? worker.reload : null;
}

function added(record: ReloadRecord, { moved, lost }: { moved: number; lost: number }): ReloadRecord {
  return { ...record, moved: record.moved + moved, lost: record.lost + lost };
}
