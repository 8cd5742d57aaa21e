import type { Effect } from '../core/effects.js';
import { slotOf } from '../core/workers.js';
import type { LazyLog } from '../logging/lazy-log.js';
import { cellSocketOf } from '../protocol/cell.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { ServiceManager } from '../service-manager/service-manager.js';
import type { CommandCentre } from './commands.js';
import { cellLaunch, cellSettings, launchOf, type Surroundings, workerSettings } from './launch.js';
import type { Pool } from './pool.js';
import type { Releases } from './releases.js';
import type { Addresses } from './siblings.js';
import { monotonicMicros } from './system.js';

/** The parts that perform effects. */
export interface Means {
  readonly serviceManager: ServiceManager;
  readonly log: LazyLog;
  readonly surroundings: Surroundings;
  readonly pool: Pool;
  readonly releases: Releases;
  readonly centre: CommandCentre;
  readonly addresses: Pick<Addresses, 'common'>;
  /** The last generation that proved itself. */
  readonly generation: () => number;
  readonly captureWorker: (key: WorkerKey, timeout: number) => void;
  readonly onServing: (urls: readonly string[]) => void;
  readonly end: (exitCode: number) => void;
  /** The number of workers in force. */
  readonly workers: () => number;
  /** How many connections wait to be accepted: the event `queue` follows. */
  readonly readQueue: () => void;
  /** Closes the master's copies of the listening sockets: see KeptOpen. */
  readonly letGo: () => void;
}

export function perform(effect: Effect, means: Means): void {
  const { serviceManager, log, surroundings, pool, releases, centre, captureWorker, onServing, end } = means;
  const { addresses, generation, workers, letGo } = means;
  switch (effect.type) {
    case 'fork': {
      const release = releases.of(effect.generation);
      const place = {
        slot: slotOf(effect),
        generation: effect.generation,
        siblings: addresses.common(),
        onTrial: effect.generation !== generation(),
        workersAtStart: workers(),
      };
      return pool.fork(
        effect.key,
        workerSettings(release, place, surroundings),
        launchOf(release, { worker: slotOf(effect), workers: workers() }),
      );
    }
    case 'fork-cell': {
      const release = releases.of(effect.generation);
      const place = { key: effect.key, generation: effect.generation, workersAtStart: workers() };
      return pool.fork(
        effect.key,
        cellSettings(release, place, surroundings),
        cellLaunch(release, workers()),
      );
    }
    case 'block': {
      const { key, cell, ...message } = effect;
      if (cell === undefined) return pool.send(key, message);
      const { controlSocket, poison } = releases.of(generation()).config;
      const path = cell === null ? null : cellSocketOf(controlSocket, cell);
      return pool.send(key, { ...message, cell: { path, timeout: poison.cellTimeout } });
    }
    case 'ask-heartbeat':
      return pool.send(effect.key, { type: 'heartbeat' });
    case 'drain':
    case 'release':
    case 'lame-duck':
    case 'even-out':
    case 'probe':
    case 'mirror-open':
    case 'mirror':
    case 'promote':
    case 'prove': {
      if (effect.type === 'drain' && effect.last) letGo();
      const { key, ...message } = effect;
      return pool.send(key, message);
    }
    case 'capture':
      return captureWorker(effect.key, effect.timeout);
    case 'kill':
      return pool.kill(effect.key);
    case 'read-queue':
      return means.readQueue();
    case 'notify': {
      const { type, reloading, ...rest } = effect;
      const notification = reloading ? { ...rest, reloading: monotonicMicros() } : rest;
      return serviceManager.notify(notification);
    }
    case 'log':
      return log[effect.level](effect.message, effect.fields);
    case 'serving':
      return onServing(effect.urls);
    case 'answer':
    // A step and the record of a reload.
    case 'step':
    case 'record':
    case 'stall':
      return centre.perform(effect);
    case 'exit':
      return end(effect.code);
  }
}
