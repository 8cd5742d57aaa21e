import type { ReloadRecord, ReloadStep } from '../protocol/reload-record.js';
import type { Reload, State, Worker } from './state.js';
import { connectionsAccepted } from './status.js';
import type { Transaction } from './transaction.js';
import { slotOf } from './workers.js';

export interface Noted {
  readonly step: ReloadStep['step'];
  readonly worker?: Worker;
  readonly detail?: string;
}

/** Writes a step into the record of the reload that is under way, and tells who follows it. */
export function note(t: Transaction, { step, worker, detail = '' }: Noted): void {
  const { reload } = t.state;
  if (reload === null) return;
  const entry: ReloadStep = {
    atMs: t.now - reload.startedAt,
    step,
    worker: worker === undefined ? null : slotOf(worker),
    generation: worker?.generation ?? null,
    detail,
  };
  const record = { ...reload.record, steps: [...reload.record.steps, entry] };
  t.update({ reload: { ...reload, record } });
  t.emit({ type: 'step', generation: reload.target, step: entry });
}

/** What became of requests on a worker that a reload replaced, whether that reload is still under way or not. */
export function countRequests(
  t: Transaction,
  generation: number | null,
  { moved = 0, lost = 0 }: { readonly moved?: number; readonly lost?: number },
): void {
  if (generation === null || (moved === 0 && lost === 0)) return;
  const { reload, lastReload } = t.state;
  const added = (record: ReloadRecord): ReloadRecord => ({
    ...record,
    moved: record.moved + moved,
    lost: record.lost + lost,
  });
  if (reload?.target === generation) {
    t.update({ reload: { ...reload, record: added(reload.record) } });
  } else if (lastReload?.generation === generation) {
    const record = added(lastReload);
    t.update({ lastReload: record });
    t.emit({ type: 'record', record });
  }
}

/** The last of the workers that the last reload replaced is gone: nothing more is added to its record. */
export function closeReloadRecord(t: Transaction, generation: number | null): void {
  const { lastReload, acceptedBefore, workers } = t.state;
  if (lastReload === null || generation === null || lastReload.generation !== generation) return;
  const others = workers.some((worker) => replacedBy(worker) === generation);
  if (others || acceptedBefore === null) return;
  const record = { ...lastReload, accepted: connectionsAccepted(t.state) - acceptedBefore };
  t.update({ lastReload: record, acceptedBefore: null });
  t.emit({ type: 'record', record });
}

/** The record as it stands now, of a reload that is under way. */
export function currentRecord(state: State, reload: Reload): ReloadRecord {
  return { ...reload.record, accepted: connectionsAccepted(state) - reload.acceptedBefore };
}

/** The record of the reload that ended between two states; null: none did. */
export function endedReload(before: State, after: State): ReloadRecord | null {
  return before.reload === null || before.reload.target === after.reload?.target ? null : after.lastReload;
}

/** The generation of the reload that replaced a worker. */
export function replacedBy(worker: Worker): number | null {
  return worker.phase === 'draining' || worker.phase === 'dying' ? worker.replacedIn : null;
}
