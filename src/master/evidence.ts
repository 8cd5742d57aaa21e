import { join } from 'node:path';
import type { Event } from '../core/events.js';
import type { Worker } from '../core/state.js';
import type { Capture } from '../protocol/capture.js';
import type { EvidenceAnswer, StackAnswer } from '../protocol/control-api.js';
import { type Millis, profileGrace, snapshotLimit } from '../protocol/limits.js';
import type { EvidenceKind, EvidenceMessage, MasterMessage, WorkerKey } from '../protocol/messages.js';
import { makeDirectory } from './make-directory.js';

export interface EvidenceSeam {
  readonly workers: () => readonly Worker[];
  readonly send: (key: WorkerKey, message: MasterMessage) => void;
  readonly post: (event: Event) => void;
  readonly capture: (pid: number, timeout: Millis) => Promise<Capture>;
  /** Of the state directory. */
  readonly stateDir: string;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  /** What is asked for, for the log. */
  readonly onAsked: (what: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Calls back after so many ms; returns what prevents it. */
  readonly after: (delay: Millis, call: () => void) => () => void;
}

/** What can be found out about a live worker, when somebody asks. */
export interface Evidence {
  stack(worker: number, by: string): Promise<StackAnswer>;
  profile(worker: number, seconds: number, by: string): Promise<EvidenceAnswer>;
  heapSnapshot(worker: number, by: string): Promise<EvidenceAnswer>;
  /** What a worker says of a file. */
  receive(key: WorkerKey, message: EvidenceMessage): void;
  /** The worker is gone. */
  gone(key: WorkerKey): void;
}

/** What a worker may take beyond the seconds of a profile, and for a heap snapshot, during which it does nothing else. */
const stackLimit: Millis = 5_000;

const extensions: Readonly<Record<EvidenceKind, string>> = {
  profile: 'cpuprofile',
  'heap-snapshot': 'heapsnapshot',
};
const names: Readonly<Record<EvidenceKind, string>> = {
  profile: 'a CPU profile',
  'heap-snapshot': 'a heap snapshot',
};

/** A file that a worker is writing. */
interface Writing {
  readonly id: number;
  readonly kind: EvidenceKind;
  readonly finish: (answer: EvidenceAnswer) => void;
}

export function createEvidence(seam: EvidenceSeam): Evidence {
  const { workers, send, post, capture, stateDir, clock, onAsked, after } = seam;
  const directory = join(stateDir, 'evidence');
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
      // What is in there may hold anything that a request had in it.
      await makeDirectory(directory, 0o700);
    } catch (error) {
      return refused(`no place for it: ${error instanceof Error ? error.message : String(error)}`);
    }
    onAsked(`worker ${worker} writes ${names[kind]}`, { by: wish.by, workerPid: pid });
    const name = `${stampOf(clock())}-worker-${worker}-pid-${pid}.${extensions[kind]}`;
    return ordered({ ...wish, key, pid, path: join(directory, name) });
  };

  const ordered = ({ key, worker, pid, kind, seconds, path }: Order): Promise<EvidenceAnswer> =>
    new Promise((resolve) => {
      // Another may have been asked for while the directory was made.
      const other = writing.get(key);
      if (other !== undefined)
        return resolve(refused(`worker ${worker} is writing ${names[other.kind]} already`));
      if (!workers().some((other) => other.key === key)) return resolve(refused(`worker ${worker} ended`));
      const limit = kind === 'profile' ? seconds * 1_000 + profileGrace : snapshotLimit;
      const id = ++lastId;
      const forget = after(limit, () =>
        finish(refused(`worker ${worker} (pid ${pid}) has not written ${names[kind]} in ${limit / 1_000} s`)),
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
      onAsked(`the stack of worker ${worker} is looked at`, { by, workerPid: pid });
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

/** Of several in a slot the newest that serves, else the newest. */
function chosen(
  workers: readonly Worker[],
  slot: number,
): { readonly key: WorkerKey; readonly pid: number } | { readonly reason: string } {
  const newestFirst = workers
    .flatMap((worker) =>
      worker.slot === slot && worker.pid !== null ? [{ ...worker, pid: worker.pid }] : [],
    )
    .sort((a, b) => b.key - a.key);
  const found = newestFirst.find(({ phase }) => phase === 'ready') ?? newestFirst[0];
  if (found !== undefined) return found;
  const known = [...new Set(workers.map((worker) => worker.slot).filter((other) => other > 0))].sort(
    (a, b) => a - b,
  );
  return { reason: `there is no worker ${slot}; expected one of ${known.join(', ')}` };
}

function refused(reason: string): { readonly accepted: false; readonly reason: string } {
  return { accepted: false, reason };
}

/** UTC, as it may stand in the name of a file: `2026-11-24T09-15-30.123Z`. */
function stampOf(ms: number): string {
  return new Date(ms).toISOString().replaceAll(':', '-');
}
