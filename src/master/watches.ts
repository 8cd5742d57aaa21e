import { totalmem } from 'node:os';
import type { Config } from '../config/config.js';
import type { Event } from '../core/events.js';
import type { LazyLog } from '../logging/lazy-log.js';
import type { Supervisor } from '../service-manager/supervisor.js';
import { systemFiles } from './files.js';
import { watchMemory } from './memory-watch.js';
import { startWatchdog } from './watchdog-thread.js';

export interface WatchesSeam {
  readonly config: Config;
  readonly supervisor: Pick<Supervisor, 'pingInterval'>;
  readonly post: (event: Event) => void;
  readonly log: Pick<LazyLog, 'debug' | 'warn'>;
}

/** What is watched besides the workers, once the service serves: the memory, and the master itself. */
export interface Watches {
  begin(): void;
  end(): void;
}

export function createWatches({ config, supervisor, post, log }: WatchesSeam): Watches {
  let ends: readonly (() => void)[] = [];
  return {
    begin: () => {
      ends = [
        watchMemory({ ...systemFiles, totalmem, post }),
        startWatchdog({
          // Who pings a supervisor is watched by it.
          timeout: supervisor.pingInterval === null ? config.health.masterTimeout : 0,
          config: config.log,
          onBegun: () => log.debug('a thread watches the event loop of the master'),
          onProblem: (error) =>
            log.warn('the watchdog thread has ended: nobody watches the master', { error }),
        }),
      ];
    },
    end: () => {
      for (const end of ends) end();
    },
  };
}
