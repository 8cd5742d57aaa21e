import type { Event } from '../core/events.js';
import type { Capture } from '../core/evidence.js';
import type { Millis, Worker, WorkerKey } from '../core/model.js';
import type { MasterMessage } from '../ipc/messages.js';
import type { CaptureOptions } from './capture/capture.js';

export interface LookerSeam {
  readonly workers: () => readonly Worker[];
  readonly post: (event: Event) => void;
  readonly send: (key: WorkerKey, message: MasterMessage) => void;
  /** Calls back after so many ms; returns what prevents it. */
  readonly after: (delay: Millis, call: () => void) => () => void;
  /** Whether command lines of a worker's children are told. */
  readonly commandLines: boolean;
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

/**
 * A healthy worker has no debugger that listens, so that it is told to close it again. Node 20 crashes where that
 * happens while a connection to it begins or ends: one look at a time, the order some time after the last, and the next
 * look some time after the order.
 */
const closeAfter: Millis = 1_000;
const settled: Millis = 250;

export function createLooker(seam: LookerSeam): Looker {
  const { workers, post, after } = seam;
  const rooms = new Map<number, Room>();

  const look = (pid: number, timeout: Millis): Promise<Capture> => {
    const room = rooms.get(pid) ?? openRoom(pid, seam, () => rooms.delete(pid));
    rooms.set(pid, room);
    const late = new Promise<Capture>((resolve) => {
      after(timeout, () => resolve(notFound('there was no time for it: another look was under way')));
    });
    return Promise.race([room.look(timeout), late]);
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

/** Where one process is looked at. */
interface Room {
  look(timeout: Millis): Promise<Capture>;
}

function openRoom(
  pid: number,
  { workers, send, after, commandLines, capture = loadedCapture }: LookerSeam,
  leave: () => void,
): Room {
  let underWay: Promise<Capture> | null = null;
  let ready = Promise.resolve();
  let forget = (): void => {};
  const close = (): void => {
    for (const worker of workers()) if (worker.pid === pid) send(worker.key, { type: 'close-inspector' });
    ready = new Promise<void>((resolve) => void after(settled, resolve)).then(() => {
      if (underWay === null) leave();
    });
  };
  const begin = async (timeout: Millis): Promise<Capture> => {
    await ready;
    const onDisconnected = (): void => {
      underWay = null;
      forget = after(closeAfter, close);
    };
    const failed = (error: unknown): Capture => {
      onDisconnected();
      return notFound(String(error));
    };
    return capture({ pid, timeout, own, commandLines, onDisconnected }).catch(failed);
  };
  return {
    look: (timeout) => {
      if (underWay === null) {
        forget();
        underWay = begin(timeout);
      }
      return underWay;
    },
  };
}

/** Where nothing ever hangs it is never loaded. */
async function loadedCapture(options: CaptureOptions): Promise<Capture> {
  return (await import('./capture/capture.js')).capture(options);
}

function notFound(detail: string): Capture {
  return { state: 'unknown', stack: null, at: null, requests: null, detail };
}
