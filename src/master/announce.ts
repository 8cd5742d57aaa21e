import type { State, Worker } from '../core/state.js';
import type { Millis } from '../protocol/limits.js';
import type { MasterMessage, ReadyWorker, WorkerKey } from '../protocol/messages.js';

export interface AnnounceSeam {
  readonly send: (key: WorkerKey, message: MasterMessage) => void;
  /** Whether a worker has given a sign of life lately. */
  readonly isHeard: (worker: Worker) => boolean;
}

/**
 * Tells the workers who is ready, whenever that has changed: called after every change of the state. To one that does
 * not answer nobody is to send its clients; where that holds for all, they are as good as each other.
 */
export function createAnnouncer({ send, isHeard }: AnnounceSeam): (state: State) => void {
  let told = '';
  return ({ workers }) => {
    const all = workers.filter(({ phase }) => phase === 'ready');
    const heard = all.filter(isHeard);
    const ready = (heard.length === 0 ? all : heard).map(({ key, slot }): ReadyWorker => ({ key, slot }));
    // Who has come since has to be told, too.
    const news = [...ready.map(({ key }) => key), '|', ...all.map(({ key }) => key)].join();
    if (news === told) return;
    told = news;
    for (const { key } of all) send(key, { type: 'workers', own: key, ready });
  };
}

/** Beats, after which a silence is more than one that came late. */
const overdue = 2.5;

/** Whether its last beat is not overdue. */
export function isHeard(
  worker: Worker,
  { now, beatInterval }: { now: Millis; beatInterval: Millis },
): boolean {
  return worker.phase === 'ready' && now - worker.beatAt <= overdue * beatInterval;
}
