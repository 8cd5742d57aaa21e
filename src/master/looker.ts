import type { Event } from '../core/events.js';
import type { Worker } from '../core/state.js';
import type { Capture } from '../protocol/capture.js';
import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { CaptureOptions } from './capture/capture.js';
import type { Witness } from './capture/witness.js';

export interface LookerSeam {
  readonly workers: () => readonly Worker[];
  readonly post: (event: Event) => void;
  /** Calls back after so many ms; returns what prevents it. */
  readonly after: (delay: Millis, call: () => void) => () => void;
  /** Whether command lines of a worker's children are told. */
  readonly commandLines: boolean;
  /** The thread in a worker that can be asked where it is; null where it has none. */
  readonly witness: (pid: number) => Witness | null;
  /** Finds out what a process does; never rejects. */
  readonly capture?: (options: CaptureOptions) => Promise<Capture>;
}

export interface Looker {
  look(pid: number, timeout: Millis): Promise<Capture>;
  /** Posts `captured`, whatever comes of it. */
  capture(key: WorkerKey, timeout: Millis): void;
}

/** Where this program's own files are. */
const own = new URL('../', import.meta.url).href;

/** One look at a process at a time: whoever asks meanwhile is answered with what that one finds. */
export function createLooker(seam: LookerSeam): Looker {
  const { workers, post, after, commandLines, witness, capture = loadedCapture } = seam;
  const underWay = new Map<number, Promise<Capture>>();

  const begin = (pid: number, timeout: Millis): Promise<Capture> => {
    const begun = capture({ pid, timeout, own, commandLines, witness: witness(pid) })
      .catch((error: unknown) => notFound(String(error)))
      .finally(() => underWay.delete(pid));
    underWay.set(pid, begun);
    return begun;
  };
  const look = (pid: number, timeout: Millis): Promise<Capture> => {
    const late = new Promise<Capture>((resolve) => {
      after(timeout, () => resolve(notFound('there was no time for it: another look was under way')));
    });
    return Promise.race([underWay.get(pid) ?? begin(pid, timeout), late]);
  };
  const lookAtWorker = async (key: WorkerKey, timeout: Millis): Promise<Capture> => {
    const pid = workers().find((worker) => worker.key === key)?.pid ?? null;
    return pid === null ? notFound('it has no process') : look(pid, timeout);
  };
  return {
    look,
    capture: (key, timeout) =>
      void lookAtWorker(key, timeout).then((found) => post({ type: 'captured', key, capture: found })),
  };
}

/** Where nothing ever hangs it is never loaded. */
async function loadedCapture(options: CaptureOptions): Promise<Capture> {
  return (await import('./capture/capture.js')).capture(options);
}

function notFound(detail: string): Capture {
  return { state: 'unknown', stack: null, at: null, requests: null, detail };
}
