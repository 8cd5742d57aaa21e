import { setTimeout as sleep } from 'node:timers/promises';
import type { FleetEvent, FleetSettings } from '../../protocol/fleet.js';
import type { Engine } from '../engine.js';
import { locate } from './address.js';
import { openConnection } from './connection.js';
import { redisEngine } from './engine.js';
import { createFleet, type Fleet } from './fleet.js';

export interface OpenOptions {
  readonly settings: FleetSettings;
  /** The embedded engine, which keeps jobs while Redis is away. */
  readonly journal: Engine;
  readonly tell: (event: FleetEvent) => void;
  readonly info: (message: string) => void;
  readonly warn: (message: string) => void;
}

/** The engine of several hosts, and this host's part in the fleet. @throws RomAgentError where the settings are wrong */
export function openRedis({ settings, journal, tell, info, warn }: OpenOptions): {
  readonly engine: Engine;
  readonly fleet: Fleet;
} {
  const { name, host } = settings;
  const { address, ca } = locate(settings);
  const connection = openConnection({ address, ca, name: `rom-agent:${name}:${host}` });
  const { shown } = address;
  const inner = redisEngine({ connection, fleet: name, shown, journal, info, warn });
  const fleet = createFleet({ connection, engine: inner, settings, shown, tell, warn });
  const engine: Engine = {
    ...inner,
    close: async () => {
      const close = async (): Promise<void> => {
        await fleet.close().catch(() => {});
        await inner.close();
      };
      // A Redis that is lost in this moment holds up nothing.
      await Promise.race([close(), sleep(closesWithin, undefined, { ref: false })]);
      await journal.close();
    },
  };
  return { engine, fleet };
}

/** ms */
const closesWithin = 5_000;
