import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlClient } from '../control/client.js';
import { RefusedByDaemon } from '../control/client-errors.js';
import { reloadLabel } from '../protocol/deploy.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { Daemon } from './course.js';
import type { ReloadVerdict } from './decide.js';

/** How long a reload of somebody else is waited for, and how often it is asked again, ms. */
const busyLimit = 180_000;
const busyInterval = 1_000;

/** The daemon at a control socket. */
export function connectDaemon(client: Pick<ControlClient, 'reload' | 'status' | 'history'>): Daemon {
  return {
    reload: async (id) => {
      const begun = performance.now();
      for (;;) {
        try {
          const options = { by: reloadLabel(id), soak: true, rollback: true };
          return verdictOf(await client.reload(options, () => {}));
        } catch (error) {
          if (!(error instanceof RefusedByDaemon)) throw error;
          const isBusy = /being prepared|under way/.test(error.message);
          if (!isBusy || performance.now() - begun > busyLimit)
            return { state: 'bad', reason: `the reload was refused: ${error.message}` };
          await sleep(busyInterval);
        }
      }
    },
    reloadOf: async (id, sinceMs) => {
      const { lastReload } = await client.status();
      const records = [...(lastReload === null ? [] : [lastReload]), ...(await client.history())];
      const own = records.find(({ by, atMs }) => by === reloadLabel(id) && atMs >= sinceMs);
      if (own === undefined) return { state: 'none' };
      return own.verdict === null ? { state: 'running' } : verdictOf(own);
    },
    pathsInUse: async () => {
      const [{ workers, generation, master }, history] = await Promise.all([
        client.status(),
        client.history(),
      ]);
      const since = Date.now() - (master.uptimeSeconds + 1) * 1000;
      const ofThisRun = history.filter(({ atMs }) => atMs >= since);
      // What the last reload replaced is the release before, which stays anyway.
      const known = [generation, ofThisRun[0]?.from];
      const others = workers.map((worker) => worker.generation).filter((each) => !known.includes(each));
      const paths = others.map(
        (each) => ofThisRun.find((record) => record.generation === each)?.release ?? null,
      );
      return paths.every((path) => path !== null) ? paths : null;
    },
  };
}

function verdictOf({ verdict, reason }: ReloadRecord): ReloadVerdict {
  if (verdict === 'done') return { state: 'done' };
  return { state: 'bad', reason: reason ?? `the reload was ${verdict ?? 'given up'}` };
}
