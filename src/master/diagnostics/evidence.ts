import { join } from 'node:path';
import type { Event } from '../../core/events.js';
import type { Worker } from '../../core/state.js';
import { slotOf } from '../../core/workers.js';
import { makeDirectory } from '../../files.js';
import type { Capture } from '../../protocol/capture.js';
import type { EvidenceAnswer, StackAnswer } from '../../protocol/control-api.js';
import { type Millis, profileGrace, snapshotLimit } from '../../protocol/limits.js';
import type { EvidenceKind, EvidenceMessage, MasterMessage, WorkerKey } from '../../protocol/messages.js';
import type { CaptureOptions } from './capture.js';
import type { Witness } from './witness.js';

export interface EvidenceSeam {
  readonly workers: () => readonly Worker[];
  readonly send: (key: WorkerKey, message: MasterMessage) => void;
  readonly post: (event: Event) => void;
  readonly capture: (pid: number, timeout: Millis) => Promise<Capture>;
  /** Of the state directory. */
  readonly stateDir: string;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  /** For the log: what an operator asked for. */
  readonly onAsked: (what: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Calls back after so many ms; returns what prevents it. */
  readonly after: (delay: Millis, call: () => void) => () => void;
}

/** What operators can ask about a live worker. */
export interface Evidence {
  stack(worker: number, by: string): Promise<StackAnswer>;
  profile(worker: number, seconds: number, by: string): Promise<EvidenceAnswer>;
  heapSnapshot(worker: number, by: string): Promise<EvidenceAnswer>;
  /** A worker has written a file, or could not. */
  receive(key: WorkerKey, message: EvidenceMessage): void;
  /** The worker is gone. */
  gone(key: WorkerKey): void;
}

/** How long a stack that an operator asks for may take. */
const stackLimit: Millis = 5_000;

const extensions: Readonly<Record<EvidenceKind, string>> = {
  profile: 'cpuprofile',
  'heap-snapshot': 'heapsnapshot',
};
const names: Readonly<Record<EvidenceKind, string>> = {
  profile: 'a CPU profile',
  'heap-snapshot': 'a heap snapshot',
};

export function evidenceFolder(stateDir: string): string {
  return join(stateDir, 'evidence');
}

/** A file that a worker is writing. */
interface Writing {
  readonly id: number;
  readonly kind: EvidenceKind;
  readonly finish: (answer: EvidenceAnswer) => void;
}

export function createEvidence(seam: EvidenceSeam): Evidence {
  const { workers, send, post, capture, stateDir, clock, onAsked, after } = seam;
  const directory = evidenceFolder(stateDir);
  const writing = new Map<WorkerKey, Writing>();
  let lastId = 0;

  const write = async (wish: Wish): Promise<EvidenceAnswer> => {
    const { worker, kind } = wish;
    const found = chosen(workers(), worker);
    if ('reason' in found) return refused(found.reason);
    const { key, pid } = found;
    const busy = writing.get(key);
    if (busy !== undefined) return refused(`worker ${worker} is writing ${names[busy.kind]} already`);
    try {
      await makeDirectory(stateDir, 0o750);
      // Profiles and snapshots may hold the data of requests.
      await makeDirectory(directory, 0o700);
    } catch (error) {
      return refused(`cannot make ${directory}: ${error instanceof Error ? error.message : String(error)}`);
    }
    onAsked(`worker ${worker} writes ${names[kind]}`, { by: wish.by, workerPid: pid });
    const name = `${stampOf(clock())}-worker-${worker}-pid-${pid}.${extensions[kind]}`;
    return ordered({ ...wish, key, pid, path: join(directory, name) });
  };

  const ordered = ({ key, worker, pid, kind, seconds, path }: Order): Promise<EvidenceAnswer> =>
    new Promise((resolve) => {
      // A second order may have come while the directory was made.
      const other = writing.get(key);
      if (other !== undefined)
        return resolve(refused(`worker ${worker} is writing ${names[other.kind]} already`));
      if (!workers().some((other) => other.key === key)) return resolve(refused(`worker ${worker} ended`));
      const limit = kind === 'profile' ? seconds * 1_000 + profileGrace : snapshotLimit;
      const id = ++lastId;
      const forget = after(limit, () =>
        finish(
          refused(`worker ${worker} (pid ${pid}) did not write ${names[kind]} within ${limit / 1_000} s`),
        ),
      );
      const finish = (answer: EvidenceAnswer): void => {
        forget();
        writing.delete(key);
        post({ type: 'excused', key, for: 0 });
        resolve(answer);
      };
      writing.set(key, { id, kind, finish });
      post({ type: 'excused', key, for: limit });
      send(key, { type: 'evidence', id, kind, path, seconds });
    });

  return {
    stack: async (worker, by) => {
      const found = chosen(workers(), worker);
      if ('reason' in found) return refused(found.reason);
      const { pid } = found;
      onAsked(`capturing the stack of worker ${worker}`, { by, workerPid: pid });
      return { accepted: true, worker, pid, ...(await capture(pid, stackLimit)) };
    },
    profile: (worker, seconds, by) => write({ worker, kind: 'profile', seconds, by }),
    heapSnapshot: (worker, by) => write({ worker, kind: 'heap-snapshot', seconds: 0, by }),
    receive: (key, { id, path, bytes, failure }) => {
      const { finish, id: wanted } = writing.get(key) ?? {};
      if (id !== wanted) return;
      finish?.(failure === null ? { accepted: true, path, bytes } : refused(failure));
    },
    gone: (key) => {
      const lost = writing.get(key);
      lost?.finish(refused(`the worker ended before it had written ${names[lost.kind]}; the log says why`));
    },
  };
}

interface Wish {
  /** Number of the slot. */
  readonly worker: number;
  readonly kind: EvidenceKind;
  readonly seconds: number;
  readonly by: string;
}

interface Order extends Wish {
  readonly key: WorkerKey;
  readonly pid: number;
  readonly path: string;
}

/** The newest worker of the slot that serves; where none serves, the newest. */
function chosen(
  workers: readonly Worker[],
  slot: number,
): { readonly key: WorkerKey; readonly pid: number } | { readonly reason: string } {
  const newestFirst = workers
    .flatMap((worker) =>
      slotOf(worker) === slot && worker.pid !== null ? [{ ...worker, pid: worker.pid }] : [],
    )
    .sort((a, b) => b.key - a.key);
  const found = newestFirst.find(({ phase }) => phase === 'ready') ?? newestFirst[0];
  if (found !== undefined) return found;
  const slots = workers.flatMap(({ role }) => (role.kind === 'slot' ? [role.slot] : []));
  const known = [...new Set(slots)].sort((a, b) => a - b);
  return { reason: `there is no worker ${slot}; expected one of ${known.join(', ')}` };
}

function refused(reason: string): { readonly accepted: false; readonly reason: string } {
  return { accepted: false, reason };
}

/** UTC, as it may stand in the name of a file: `2026-11-24T09-15-30.123Z`. */
function stampOf(ms: number): string {
  return new Date(ms).toISOString().replaceAll(':', '-');
}

export interface LookerSeam {
  readonly workers: () => readonly Worker[];
  readonly post: (event: Event) => void;
  /** Calls back after so many ms; returns what prevents it. */
  readonly after: (delay: Millis, call: () => void) => () => void;
  /** Where this program's own files are, as a URL that ends in a slash. */
  readonly own: string;
  /** Whether the command lines of a worker's children are told. */
  readonly commandLines: boolean;
  /** The thread of a worker that says where its main thread is; null where it has none. */
  readonly witness: (pid: number) => Witness | null;
  /** Finds out what a process does. Never rejects. */
  readonly capture?: (options: CaptureOptions) => Promise<Capture>;
}

export interface Looker {
  look(pid: number, timeout: Millis): Promise<Capture>;
  /** Posts `captured` with the result, or with the reason why there is none. */
  capture(key: WorkerKey, timeout: Millis): void;
}

/** Captures each process once at a time: a second request meanwhile gets the result of the first. */
export function createLooker(seam: LookerSeam): Looker {
  const { workers, post, after, own, commandLines, witness, capture = loadedCapture } = seam;
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
      after(timeout, () => resolve(notFound('timed out: another capture of it was under way')));
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

/** Loaded at the first capture: many services never need one. */
async function loadedCapture(options: CaptureOptions): Promise<Capture> {
  return (await import('./capture.js')).capture(options);
}

function notFound(detail: string): Capture {
  return { state: 'unknown', stack: null, at: null, requests: null, detail };
}
