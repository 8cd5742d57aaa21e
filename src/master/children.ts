import { randomBytes } from 'node:crypto';
import { killGrace } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import { type FindMarked, markVariable } from './marked-processes.js';

/** What the app has started in its workers, and has not ended. */
export interface Children {
  /** What a worker's processes inherit, by which they are known. */
  mark(key: WorkerKey): Readonly<Record<string, string>>;
  /** A worker is gone: what it has started and is still there is ended. */
  left(key: WorkerKey): void;
  /** Resolves once nobody is left of those that were to end. */
  settled(): Promise<void>;
}

export interface ChildrenSeam {
  readonly find: FindMarked;
  readonly kill: (pid: number, signal: 'SIGTERM' | 'SIGKILL') => void;
  readonly sleep: (delay: number) => Promise<unknown>;
  readonly info: (message: string) => void;
  readonly warn: (message: string) => void;
}

/** What SIGTERM gives them to end, ms, and how often they are looked for meanwhile. */
const grace = 2 * killGrace;
const interval = 100;
const namedAtMost = 8;

/**
 * Under plain Node a helper that its app forgets survives its app; there, one app ends, and here one worker after the other
 * does, in each reload. They are known by a variable of their environment, since one whose parent is gone is nobody's
 * child any more. Those that are to outlive their app say so with a session of their own (`detached: true`), or
 * without the variable. For all workers that are gone at the same time there is one look.
 */
export function trackChildren({ find, kill, sleep, info, warn }: ChildrenSeam): Children {
  const run = randomBytes(6).toString('hex');
  const markOf = (key: WorkerKey): string => `${run}.${key}`;
  let gone = new Set<string>();
  let ending: Promise<void> | null = null;

  const endAll = async (): Promise<void> => {
    // Those that are gone together come one after the other.
    await sleep(0);
    const marks = gone;
    gone = new Set();
    const found = await find(marks);
    if (found.length === 0) return;
    info(`a worker is gone and has left ${names(found)} behind: SIGTERM`);
    for (const { pid } of found) kill(pid, 'SIGTERM');
    // By then there may be new ones.
    for (let waited = 0; waited < grace; waited += interval) {
      await sleep(interval);
      if ((await find(marks, found)).length === 0) break;
    }
    const rest = await find(marks);
    if (rest.length === 0) return;
    warn(`${names(rest)}, left behind by a worker, did not end within ${grace} ms: SIGKILL`);
    for (const { pid } of rest) kill(pid, 'SIGKILL');
  };
  const endInTurn = async (): Promise<void> => {
    while (gone.size > 0) await endAll();
  };
  return {
    mark: (key) => ({ [markVariable]: markOf(key) }),
    left: (key) => {
      gone.add(markOf(key));
      ending ??= endInTurn().finally(() => {
        ending = null;
      });
    },
    settled: async () => void (await ending),
  };
}

/** One that is gone meanwhile, or has become somebody else's, is left to itself. */
export function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {}
}

function names(found: Awaited<ReturnType<FindMarked>>): string {
  const named = found.slice(0, namedAtMost).map(({ pid, name }) => `${name} (pid ${pid})`);
  const others = found.length - named.length;
  return [...named, ...(others > 0 ? [`${others} more`] : [])].join(', ');
}
