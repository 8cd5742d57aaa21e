import type { Event } from '../core/events.js';
import type { Capture } from '../core/evidence.js';
import type { Millis, Worker, WorkerKey } from '../core/model.js';
import type { CaptureOptions } from './capture/capture.js';

export interface LookerSeam {
  readonly workers: () => readonly Worker[];
  readonly post: (event: Event) => void;
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

export function createLooker({ workers, post, capture = loadedCapture }: LookerSeam): Looker {
  const look = (pid: number, timeout: Millis): Promise<Capture> =>
    capture({ pid, timeout, own }).catch((error: unknown) => notFound(String(error)));
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
