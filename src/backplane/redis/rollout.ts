import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Job as BullJob, Queue, Worker } from 'bullmq';
import type { FleetHost, HostCommand, HostOutcome, RolloutLine } from '../../protocol/fleet.js';
import { type Connection, inWords } from './connection.js';
import type { Hosts } from './hosts.js';
import { bullName, bullOptions, shared } from './queues.js';

/** Commands from host to host, each in the queue of the host that is to obey. */
export interface Rollouts {
  /** Goes from host to host, the canary host first, and stops at the first bad verdict. Never rejects. */
  roll(command: HostCommand, tell: (line: RolloutLine) => void): Promise<void>;
  close(): Promise<void>;
}

export interface RolloutOptions {
  readonly prefix: string;
  readonly host: string;
  readonly canaryHost: string | null;
  readonly hosts: Pick<Hosts, 'list'>;
  /** Does it on this host; resolves with what came of it. */
  readonly obey: (id: string, command: HostCommand) => Promise<HostOutcome>;
  readonly warn: (message: string) => void;
}

const lockMs = 15_000;
/** Who waits for a host looks this often, ms. */
const lookedEach = 500;
/** A host takes up a command within this time, or it does not get it, ms. */
const takenWithin = 30_000;
/** s */
const kept = { age: 24 * 3_600, count: 1_000 };

export function redisRollouts(connection: Connection, options: RolloutOptions): Rollouts {
  const { prefix, host, canaryHost, hosts, obey, warn } = options;
  const { patient, main } = connection;
  const worker = new Worker(
    bullName(queueOf(host)),
    (job: BullJob) => obey(job.id ?? '', job.data as HostCommand),
    {
      ...bullOptions(prefix),
      ...{ connection: shared(patient), name: host, concurrency: 1, lockDuration: lockMs },
      // What became of a command whose host died nobody knows: it is not obeyed twice.
      ...{ stalledInterval: 5_000, maxStalledCount: 0, runRetryDelay: 1_000 },
    },
  );
  worker.on('error', (error) => {
    if (connection.isConnected()) warn(`commands of the fleet: ${inWords(error)}`);
  });

  const ask = async (name: string, command: HostCommand): Promise<HostOutcome> => {
    const queue = new Queue(bullName(queueOf(name)), { ...bullOptions(prefix), connection: shared(main) });
    queue.on('error', () => {});
    try {
      const id = `command-${randomUUID()}`;
      await connection.within('rollout', () =>
        queue.add(command.kind, command, { jobId: id, removeOnComplete: kept, removeOnFail: kept }),
      );
      const begun = performance.now();
      for (;;) {
        await sleep(lookedEach);
        const job = (await connection.within('rollout', () => queue.getJob(id))) ?? null;
        if (job === null) return bad('its command is gone from Redis');
        if (job.finishedOn !== undefined && job.finishedOn > 0) {
          return job.failedReason ? bad(job.failedReason) : (job.returnvalue as HostOutcome);
        }
        const late = performance.now() - begun > takenWithin;
        // Removing fails where the host has taken it in this moment.
        if (job.processedOn === undefined && late && (await removed(job))) {
          return bad(`it did not take up the command within ${takenWithin / 1_000} s`);
        }
        const known = (await hosts.list()).find((each) => each.host === name);
        if (known?.present !== true && job.processedOn !== undefined) {
          return bad('it was not heard any more after it had begun');
        }
      }
    } catch (error) {
      return bad(inWords(error));
    } finally {
      await queue.close().catch(() => {});
    }
  };
  return {
    roll: async (command, tell) => {
      const over = (
        ok: boolean,
        message: string,
        which: Partial<Extract<RolloutLine, { type: 'over' }>> = {},
      ): void => tell({ type: 'over', ok, message, done: [], failed: null, untouched: [], ...which });
      const listed = await hosts.list().catch((error: unknown) => inWords(error));
      if (typeof listed === 'string') return over(false, listed);
      const { order, away, problem } = planOf(listed, canaryHost);
      if (problem !== null) return over(false, problem, { untouched: order });
      tell({ type: 'plan', hosts: order, away });
      const done: string[] = [];
      let next = command;
      for (const name of order) {
        tell({ type: 'begins', host: name });
        const { ok, message, commit = null } = await ask(name, next);
        tell({ type: 'ended', host: name, ok, message });
        if (!ok) {
          const untouched = order.slice(done.length + 1);
          return over(false, inSum({ command, done, failed: name, untouched }), {
            done,
            failed: name,
            untouched,
          });
        }
        done.push(name);
        // What the first host has proven, not what the branch has become since.
        if (next.kind === 'deploy') next = { ...next, commit: next.commit ?? commit };
      }
      over(true, `${done.length} of ${done.length} hosts: ${done.join(', ')}`, { done });
    },
    close: () => worker.close(true),
  };
}

export interface RolloutPlan {
  readonly order: readonly string[];
  /** Hosts that are not heard, and are left out. */
  readonly away: readonly string[];
  /** Why it cannot begin; null: it can. */
  readonly problem: string | null;
}

/** The canary host first, the others by name. */
export function planOf(
  hosts: readonly Pick<FleetHost, 'host' | 'present'>[],
  canaryHost: string | null,
): RolloutPlan {
  const names = hosts.filter(({ present }) => present).map(({ host }) => host);
  const away = hosts.filter(({ present }) => !present).map(({ host }) => host);
  if (names.length === 0) return { order: [], away, problem: 'no host of the fleet is heard' };
  if (canaryHost === null) return { order: names, away, problem: null };
  if (!names.includes(canaryHost)) {
    const problem = `the canary host ${canaryHost} (fleet.canary_host) is not heard; the hosts are ${names.join(', ')}`;
    return { order: names, away, problem };
  }
  return { order: [canaryHost, ...names.filter((name) => name !== canaryHost)], away, problem: null };
}

interface Sum {
  readonly command: HostCommand;
  readonly done: readonly string[];
  readonly failed: string;
  readonly untouched: readonly string[];
}

function inSum({ command: { kind }, done, failed, untouched }: Sum): string {
  const list = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));
  return `the ${kind} stopped at ${failed}; hosts with the new state: ${list(done)}; left as they were: ${list(untouched)}`;
}

function bad(message: string): HostOutcome {
  return { ok: false, message };
}

async function removed(job: BullJob): Promise<boolean> {
  return job.remove().then(
    () => true,
    () => false,
  );
}

function queueOf(host: string): string {
  return `rom-agent.host.${host}`;
}
