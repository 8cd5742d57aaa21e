import type { UpgradeLine } from '../protocol/upgrade.js';
import { wentAway } from './client-errors.js';
import type { JobCaller } from './job-client.js';

export type UpgradeEnd = Extract<UpgradeLine, { type: 'verdict' }>;

export interface UpgradeRequest {
  readonly by: string;
  readonly node?: string;
  readonly patienceMs?: number;
}

/** What a client can ask about the daemon itself. */
export interface UpgradeCalls {
  /**
   * Has another process take the daemon's place. Resolves with the last line.
   *
   * @throws RomAgentError exit 75 where it is refused, or where the daemon goes away before
   */
  upgrade(options: UpgradeRequest, onLine: (line: UpgradeLine) => void): Promise<UpgradeEnd>;
}

export function upgradeCalls(caller: JobCaller): UpgradeCalls {
  return {
    upgrade: async (body, onLine) => {
      const seen: UpgradeEnd[] = [];
      await caller.stream({
        ...{ method: 'POST', route: 'upgrade', body },
        onLine: (value) => {
          const line = value as UpgradeLine;
          if (line.type === 'verdict') seen.push(line);
          onLine(line);
        },
      });
      const [last] = seen;
      if (last === undefined) throw wentAway(caller.path);
      return last;
    },
  };
}
