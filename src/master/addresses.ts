import type { WorkerKey } from '../protocol/messages.js';
import type { Siblings } from '../protocol/settings.js';

/** Where the workers that serve listen, which a new one is held to. */
export interface Addresses {
  /** A worker is ready, or listens elsewhere by now. */
  heard(key: WorkerKey, worker: { slot: number; generation: number }, where: Siblings): void;
  gone(key: WorkerKey): void;
  /** Where all workers that serve listen; null: there are none. */
  common(): Siblings | null;
  /** Where the service is: of a worker that listens where it is configured to, or else of the last that said so. */
  urls(): readonly string[];
}

interface Known extends Siblings {
  readonly slot: number;
  readonly generation: number;
}

/** @param warn of a worker that has no address in common with the others of its generation */
export function createAddresses(
  warn: (message: string, fields: Readonly<Record<string, unknown>>) => void,
): Addresses {
  const known = new Map<WorkerKey, Known>();
  const told = new Set<WorkerKey>();
  return {
    heard: (key, { slot, generation }, { urls, onTarget }) => {
      const others = [...known].filter(([each, entry]) => each !== key && entry.generation === generation);
      known.set(key, { slot, generation, urls, onTarget });
      const theirs = new Set(others.flatMap(([, entry]) => entry.urls));
      if (theirs.size === 0 || told.has(key) || urls.some((url) => theirs.has(url))) return;
      told.add(key);
      warn(`worker ${slot} listens elsewhere than the other workers: their clients do not reach it`, {
        urls,
        others: [...theirs],
      });
    },
    urls: () => {
      const all = [...known.values()];
      return (all.find(({ onTarget }) => onTarget) ?? all.at(-1))?.urls ?? [];
    },
    gone: (key) => {
      known.delete(key);
      told.delete(key);
    },
    common: () => {
      const [first, ...others] = [...known.values()];
      if (first === undefined) return null;
      return {
        urls: first.urls.filter((url) => others.every(({ urls }) => urls.includes(url))),
        onTarget: first.onTarget || others.some(({ onTarget }) => onTarget),
      };
    },
  };
}
