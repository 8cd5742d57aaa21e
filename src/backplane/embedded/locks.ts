import { EngineError, type HeldLock } from '../engine.js';
import type { JournalRecord } from './records.js';
import type { Store } from './store.js';

export interface LocksSeam {
  readonly store: Store;
  readonly clock: () => number;
  readonly after: (ms: number, call: () => void) => () => void;
  /** Applies it, and resolves when it is in the journal. */
  readonly save: (record: JournalRecord, sync: boolean) => Promise<void>;
  /** As `save`, for what cannot be refused: it is tried until it is there. */
  readonly owe: (record: JournalRecord) => void;
}

export interface Locks {
  acquire(name: string, ttlMs: number, waitMs: number): Promise<HeldLock | null>;
  extend(name: string, token: number, ttlMs: number): Promise<void>;
  release(name: string, token: number): Promise<void>;
}

/** Tokens that are set aside with one record, so that not each lock waits for the disk. */
const tokensAtOnce = 1_000;

interface Waiter {
  readonly take: () => void;
}

/** Locks that wait their turn: who asks first has it first. */
export function createLocks({ store, clock, after, save, owe }: LocksSeam): Locks {
  const lines = new Map<string, Waiter[]>();
  /** Names that are being given to somebody at this moment. */
  const giving = new Set<string>();
  const timers = new Map<string, () => void>();
  let nextToken = store.tokenLimit() + 1;

  const isFree = (name: string): boolean => {
    const hold = store.locks.get(name);
    return !giving.has(name) && (hold === undefined || hold.untilMs <= clock());
  };
  /** Gives it to the next in line, now or when it runs out. */
  const serve = (name: string): void => {
    timers.get(name)?.();
    timers.delete(name);
    const line = lines.get(name);
    if (line === undefined) return;
    if (line.length === 0) return void lines.delete(name);
    if (isFree(name)) return line.shift()?.take();
    const hold = store.locks.get(name);
    if (hold !== undefined && !giving.has(name))
      timers.set(
        name,
        after(Math.max(1, hold.untilMs - clock()), () => serve(name)),
      );
  };
  const give = async (name: string, ttlMs: number): Promise<HeldLock> => {
    giving.add(name);
    try {
      const token = nextToken++;
      if (token > store.tokenLimit()) await save({ type: 'tokens', limit: token + tokensAtOnce - 1 }, true);
      await save({ type: 'lock', name, token, untilMs: clock() + ttlMs }, false);
      return { token, extend: () => extend(name, token, ttlMs), release: () => release(name, token) };
    } finally {
      giving.delete(name);
      serve(name);
    }
  };
  const extend = async (name: string, token: number, ttlMs: number): Promise<void> => {
    const hold = store.locks.get(name);
    // One that has run out is still its holder's as long as nobody else had it.
    if (hold?.token !== token || giving.has(name)) {
      throw new EngineError(
        'lost',
        `the lock ${JSON.stringify(name)} is no longer held with the token ${token}`,
      );
    }
    await save({ type: 'lock', name, token, untilMs: clock() + ttlMs }, false);
  };
  const release = async (name: string, token: number): Promise<void> => {
    if (store.locks.get(name)?.token !== token) return;
    owe({ type: 'unlock', name, token });
    serve(name);
  };
  return {
    acquire: (name, ttlMs, waitMs) => {
      if (isFree(name) && (lines.get(name)?.length ?? 0) === 0) return give(name, ttlMs);
      if (waitMs <= 0) return Promise.resolve(null);
      return new Promise((resolve, reject) => {
        const line = lines.get(name) ?? [];
        lines.set(name, line);
        const waiter: Waiter = {
          take: () => {
            forget();
            give(name, ttlMs).then(resolve, reject);
          },
        };
        const forget = after(waitMs, () => {
          line.splice(line.indexOf(waiter), 1);
          resolve(null);
        });
        line.push(waiter);
        serve(name);
      });
    },
    extend,
    release,
  };
}
