import { type Job as BullJob, Queue, Worker } from 'bullmq';
import type { FleetDue, FleetEvent, FleetJob, RunOutcome } from '../../protocol/fleet.js';
import type { Engine, Json } from '../engine.js';
import { type Connection, inWords } from './connection.js';
import { bullName, bullOptions, shared } from './queues.js';

/** The schedule of the fleet: every host adds each due time, under the same id, and one of them runs it. */
export interface DueTimes {
  /** Resolves once it is safe: in Redis, or in this host's journal while Redis is away. */
  add(due: FleetDue): Promise<void>;
  /** The jobs that this host runs, from now on. */
  take(jobs: readonly FleetJob[]): void;
  close(): Promise<void>;
}

export interface DueOptions {
  readonly prefix: string;
  readonly host: string;
  readonly engine: Pick<Engine, 'add'>;
  /** Runs it on this host; resolves once it is over. */
  readonly run: (due: FleetDue, runId: string) => Promise<RunOutcome>;
  readonly tell: (event: FleetEvent) => void;
  readonly warn: (message: string) => void;
  readonly lockMs?: number;
}

/** A run whose host died is known to be lost after this and up to twice `stalledEach`, ms. */
const usualLock = 10_000;
const stalledEach = 3_000;
/** ms between two looks for a due time that replaces a run, while it is in progress. */
const lookedEach = 1_000;
/** Of the due times that wait, so many are looked at. */
const mostLooked = 100;

export function redisDueTimes(connection: Connection, options: DueOptions): DueTimes {
  const { prefix, host, engine, run, tell, warn, lockMs = usualLock } = options;
  const { patient } = connection;
  const ending = new Set<Promise<void>>();
  const open = new Map<
    string,
    { readonly job: { now: FleetJob }; readonly worker: Worker; readonly queue: Queue }
  >();

  const handle = async (job: FleetJob, entry: BullJob, queue: Queue): Promise<Json> => {
    const due = entry.data as FleetDue;
    const key = queue.toKey(entry.id ?? '');
    if (entry.stalledCounter > 0) {
      const [had, done] = await patient.hmget(key, 'romHost', 'romRan');
      // It ended while Redis was away.
      if (typeof done === 'string') return JSON.parse(done) as Json;
      const reruns = job.onLost === 'rerun';
      tell({ kind: 'lost', due, host: had ?? 'unknown', reruns });
      if (!reruns) return { verdict: 'lost', host: had ?? null };
    }
    const lastKey = `${prefix}last-run:${job.name}`;
    if (job.overlap === 'skip' && isOverlapped(due, await patient.get(lastKey))) {
      tell({ kind: 'skipped', due, host });
      return { verdict: 'skipped', host };
    }
    const byMs = job.overlap === 'replace' ? await laterIn(queue, due) : null;
    if (byMs !== null) {
      tell({ kind: 'replaced', due, byMs, hasBegun: false });
      return { verdict: 'replaced', host };
    }
    await patient.hset(key, 'romHost', host);
    const endWatch = job.overlap === 'replace' ? watchLater(due, queue) : () => {};
    const ran = await run(due, entry.id ?? '').finally(endWatch);
    const result = { verdict: ran.verdict, host };
    await patient.hset(key, 'romRan', JSON.stringify(result));
    await patient.set(lastKey, JSON.stringify(ran), 'EX', keptSeconds);
    return result;
  };

  /** Whichever host adds the later one, it waits in Redis until this run is over: the host that runs ends it. */
  const watchLater = (due: FleetDue, queue: Queue): (() => void) => {
    const timer = setInterval(() => {
      laterIn(queue, due).then(
        (byMs) => {
          if (byMs === null) return;
          clearInterval(timer);
          tell({ kind: 'replaced', due, byMs, hasBegun: true });
        },
        // Redis is away.
        () => {},
      );
    }, lookedEach);
    return () => clearInterval(timer);
  };

  const begin = (job: FleetJob): void => {
    const name = bullName(queueOf(job.name));
    const queue = new Queue(name, { ...bullOptions(prefix), connection: shared(patient) });
    queue.on('error', () => {});
    const current = { now: job };
    const worker = new Worker(name, (entry) => handle(current.now, entry, queue), {
      ...bullOptions(prefix),
      connection: shared(patient),
      name: host,
      concurrency: 1,
      lockDuration: lockMs,
      stalledInterval: Math.min(stalledEach, lockMs),
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      runRetryDelay: 1_000,
      autorun: false,
    });
    worker.on('error', (error) => {
      if (connection.isConnected()) warn(`job ${job.name}: ${inWords(error)}`);
    });
    // One run of a job at a time in the whole fleet, before the first is taken.
    void queue
      .setGlobalConcurrency(1)
      .then(() => worker.run())
      .catch((error: unknown) => warn(`job ${job.name}: ${inWords(error)}`));
    open.set(job.name, { job: current, worker, queue });
  };
  const end = async (name: string, force: boolean): Promise<void> => {
    const found = open.get(name);
    open.delete(name);
    if (found === undefined) return;
    await found.worker.close(force || !connection.isConnected());
    await found.queue.close();
  };
  return {
    add: async (due) => {
      const id = `${due.job}@${due.dueMs}`;
      await engine.add(queueOf(due.job), { id, data: { ...due }, attempts: 1 });
    },
    take: (jobs) => {
      const names = new Set(jobs.map(({ name }) => name));
      for (const name of open.keys())
        if (!names.has(name)) {
          const ended = end(name, false)
            .catch(() => {})
            .finally(() => ending.delete(ended));
          ending.add(ended);
        }
      for (const job of jobs) {
        const known = open.get(job.name);
        if (known === undefined) begin(job);
        else known.job.now = job;
      }
    },
    close: async () => {
      await Promise.all(ending);
      // Runs that are not over are lost with this process.
      await Promise.all([...open.keys()].map((name) => end(name, true)));
    },
  };
}

/** Not one of the app's. */
function queueOf(job: string): string {
  return `rom-agent.due.${job}`;
}

/** How long it is known when a job last ran. */
const keptSeconds = 7 * 24 * 3_600;

/** A due time of the job that waits and is later than this one, the latest of those at the end; null: there is none. */
async function laterIn(queue: Queue, { dueMs }: Pick<FleetDue, 'dueMs'>): Promise<number | null> {
  const ids = await queue.getRanges(['waiting'], 0, mostLooked - 1, false);
  const later = ids.map((id) => Number(id.slice(id.lastIndexOf('@') + 1))).filter((at) => at > dueMs);
  return later.length === 0 ? null : Math.max(...later);
}

/** Whether the last run was under way when this one was due. One that was only picked up late is not left out. */
export function isOverlapped({ dueMs }: Pick<FleetDue, 'dueMs'>, last: string | null): boolean {
  if (last === null) return false;
  const { startedMs, endedMs } = JSON.parse(last) as RunOutcome;
  return startedMs < dueMs && dueMs < endedMs;
}
