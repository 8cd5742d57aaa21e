import type {
  FleetEvent,
  FleetHost,
  FleetOrder,
  FleetQuestion,
  FleetSettings,
  FleetStats,
  HostCommand,
  HostOutcome,
  HostSummary,
  ReloadTurn,
  RunOutcome,
} from '../../protocol/fleet.js';
import { type Engine, EngineError, type HeldLock } from '../engine.js';
import { type Connection, inWords } from './connection.js';
import { redisDueTimes } from './due.js';
import { keyPrefix } from './engine.js';
import { redisHosts } from './hosts.js';
import { redisLocks } from './lock.js';
import { redisRollouts } from './rollout.js';

/** What of this host the others have to do with: its summary, the schedule, whose turn it is to reload, commands. */
export interface Fleet {
  order(order: FleetOrder): void;
  ask(question: FleetQuestion): Promise<unknown>;
  /** The daemon was killed: this host does not leave with it, the others see that it is not heard. */
  stayListed(): void;
  close(): Promise<void>;
}

export interface FleetOptions {
  readonly connection: Connection;
  readonly engine: Pick<Engine, 'add'>;
  readonly settings: FleetSettings;
  /** Where Redis is, without user and password. */
  readonly shown: string;
  readonly tell: (event: FleetEvent) => void;
  readonly warn: (message: string) => void;
}

const reloadLock = 'rom-agent.reload';
/** A host that died while it reloaded holds up the others for so long at most, ms. */
const reloadTtl = 15_000;
const extendEach = 5_000;
/** Longer than any reload. ms */
const longestWait = 24 * 3_600_000;

export function createFleet({ connection, engine, settings, shown, tell, warn }: FleetOptions): Fleet {
  const { name, host, canaryHost } = settings;
  const prefix = keyPrefix(name);
  const hosts = redisHosts(connection, { prefix, host, warn });
  const locks = redisLocks(connection, prefix);
  const waiting = new Map<string, (answer: never) => void>();
  const answered = <T>(id: string, ask: FleetEvent): Promise<T> =>
    new Promise((resolve) => {
      waiting.set(id, resolve);
      tell(ask);
    });
  const answer = (id: string, value: RunOutcome | HostOutcome): void => {
    waiting.get(id)?.(value as never);
    waiting.delete(id);
  };
  const due = redisDueTimes(connection, {
    ...{ prefix, host, engine, tell, warn },
    run: (each, runId) => answered<RunOutcome>(runId, { kind: 'run', runId, due: each }),
  });
  const rollouts = redisRollouts(connection, {
    ...{ prefix, host, canaryHost, hosts, warn },
    obey: (id: string, command: HostCommand) => answered<HostOutcome>(id, { kind: 'command', id, command }),
  });
  const turn = reloadTurns();
  let own: HostSummary | null = null;
  let leaves = true;

  function reloadTurns() {
    let stop: AbortController | null = null;
    let held: HeldLock | null = null;
    let timer: NodeJS.Timeout | undefined;
    const over = (): void => {
      stop?.abort();
      stop = null;
      clearInterval(timer);
      const lock = held;
      held = null;
      // Where Redis is away it runs out.
      void lock?.release().catch(() => {});
    };
    const wait = async (by: string): Promise<ReloadTurn> => {
      over();
      const giveUp = new AbortController();
      stop = giveUp;
      try {
        let told = '';
        const lock = await locks.acquire({
          ...{ name: reloadLock, ttlMs: reloadTtl, waitMs: longestWait, who: host, signal: giveUp.signal },
          onHeld: (holder) => {
            if (told !== holder) tell({ kind: 'held', host: holder });
            told = holder;
          },
        });
        if (giveUp.signal.aborted) void lock?.release().catch(() => {});
        if (lock === null || giveUp.signal.aborted) return { kind: 'given-up' };
        held = lock;
        timer = setInterval(() => {
          lock.extend().catch((error: unknown) => {
            if (!(error instanceof EngineError) || error.code !== 'lost' || held !== lock) return;
            clearInterval(timer);
            warn(
              'this host reloads, but its turn ran out, since Redis was away: another host may reload too',
            );
          });
        }, extendEach);
        return { kind: 'granted', token: lock.token, warning: null };
      } catch (error) {
        const warning = `the reload asked by ${by} goes on without the turn of the fleet: ${inWords(error)}`;
        return { kind: 'granted', token: null, warning };
      }
    };
    return { wait, over };
  }

  const stats = async (): Promise<FleetStats> => {
    const lost = connection.lostSinceMs();
    const redis = {
      address: shown,
      connected: lost === null,
      lostForSeconds: lost === null ? null : Math.round((Date.now() - lost) / 1_000),
    };
    const self: readonly FleetHost[] =
      own === null ? [] : [{ host, self: true, present: true, heardAgoMs: 0, ...own }];
    if (lost !== null) return { name, host, redis, hosts: self, reloading: null };
    const [all, holder] = await Promise.all([
      hosts.list(),
      connection.within('fleet', (client) => client.get(`${prefix}lock:${reloadLock}`)),
    ]);
    const reloading = holder === null ? null : holder.slice(holder.indexOf('#') + 1);
    return { name, host, redis, hosts: all, reloading };
  };

  return {
    order: (order) => {
      switch (order.kind) {
        case 'summary':
          own = order.summary;
          return void hosts.write(order.summary).catch(() => {});
        case 'jobs':
          return due.take(order.jobs);
        case 'ran':
          return answer(order.runId, order.ran);
        case 'commanded':
          return answer(order.id, order.outcome);
        case 'reload-over':
          return turn.over();
      }
    },
    ask: async (question) => {
      switch (question.kind) {
        case 'fleet':
          return stats();
        case 'due':
          await due.add(question.due);
          return null;
        case 'reload-turn':
          return turn.wait(question.by);
        case 'rollout': {
          const { id, command } = question;
          void rollouts.roll(command, (line) => tell({ kind: 'rollout', id, line }));
          return null;
        }
      }
    },
    stayListed: () => {
      leaves = false;
    },
    close: async () => {
      turn.over();
      const left = leaves ? hosts.leave().catch(() => {}) : null;
      await Promise.all([left, due.close(), rollouts.close()]);
    },
  };
}
