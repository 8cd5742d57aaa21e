import {
  type Job as BullJob,
  type ConnectionOptions,
  type JobsOptions,
  Queue,
  WaitingError,
  Worker,
} from 'bullmq';
import {
  type Added,
  type Engine,
  EngineError,
  type Handle,
  HandlerGone,
  type Job,
  type Json,
  longestBackoffMs,
  type NewJob,
  usualAttempts,
  usualBackoffMs,
} from '../engine.js';
import { type Connection, inWords } from './connection.js';

/** Queues by BullMQ. `add` refuses while Redis is away; `work` waits for it. */
export interface Queues extends Pick<Engine, 'work' | 'queues' | 'counts' | 'failed' | 'retry' | 'close'> {
  add(queue: string, job: NewJob & { readonly id: string }): Promise<Added>;
}

export interface QueuesSeam {
  readonly prefix: string;
  readonly warn: (message: string) => void;
  /** How long a worker's lock of a job lasts without being renewed, ms: then the job is another's. */
  readonly lockMs?: number;
}

/** Of a job that is done its id is kept for so long, so that it is not added again: seconds, and how many at most. */
const keptWhenDone = { age: 24 * 3_600, count: 50_000 };
const keptWhenFailed = { age: 7 * 24 * 3_600, count: 10_000 };
/** A worker that was killed leaves its job to others after this and up to twice `stalledEach`, ms. */
const usualLock = 15_000;
const stalledEach = 5_000;
/** A job that ends its worker each time is given up after so many. */
const mostStalls = 10;

/** Marks the job as ours, where nobody else has. KEYS: the job. Only where it is there: it may be done and forgotten. */
const claimScript = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
return redis.call('HSETNX', KEYS[1], 'romAdded', ARGV[1])`;

export function redisQueues(
  connection: Connection,
  { prefix, warn, lockMs = usualLock }: QueuesSeam,
): Queues {
  const { main, patient } = connection;
  const open = new Map<string, Queue>();
  const workers = new Set<Worker>();
  /** Names that Redis has in its list. */
  const listed = new Set<string>();
  let closing = false;
  const queueOf = (name: string): Queue => {
    const known = open.get(name);
    if (known !== undefined) return known;
    const queue = new Queue(bullName(name), { ...bullOptions(prefix), connection: shared(main) });
    // Whoever asked hears of it.
    queue.on('error', () => {});
    open.set(name, queue);
    return queue;
  };
  const ask = <T>(name: string, method: string, of: (queue: Queue) => Promise<T>): Promise<T> =>
    connection.within(`queue(${JSON.stringify(name)}).${method}`, () => of(queueOf(name)));
  return {
    add: (name, job) =>
      ask(name, 'add', async (queue) => {
        if (!listed.has(name)) await main.sadd(`${prefix}queues`, name);
        listed.add(name);
        await queue.add(job.name ?? unnamed, job.data, optionsOf(job));
        const claim = `${process.pid}.${Math.random()}`;
        const added = await main.eval(claimScript, 1, queue.toKey(bullId(job.id)), claim);
        return { id: job.id, added: added === 1 };
      }),
    work: (name, concurrency, handle, { onSettled = () => {} } = {}) => {
      const worker = new Worker(
        bullName(name),
        // Three arguments: BullMQ passes a signal to whoever has a place for it.
        async (job, token, signal) => {
          try {
            return await handled(handle, jobOf(name, job), signal ?? new AbortController().signal);
          } catch (error) {
            if (!closing) throw error;
            await job.moveToWait(token);
            throw new WaitingError();
          }
        },
        {
          ...bullOptions(prefix),
          connection: shared(patient),
          concurrency,
          lockDuration: lockMs,
          stalledInterval: Math.min(stalledEach, lockMs),
          maxStalledCount: mostStalls,
          runRetryDelay: 1_000,
          settings: {
            backoffStrategy: (attempts = 1, _type, error, job) =>
              error instanceof HandlerGone ? 0 : waitOf(attempts, job),
          },
        },
      );
      const settled = (job: BullJob | undefined): void => {
        if (job?.id !== undefined) onSettled({ queue: name, id: idOf(job.id), attempt: job.attemptsMade });
      };
      worker.on('completed', settled);
      worker.on('failed', settled);
      worker.on('error', (error) => {
        // Whether Redis is away is said once, by who watches the connection.
        if (connection.isConnected()) warn(`queue ${name}: ${inWords(error)}`);
      });
      worker.on('lockRenewalFailed', (ids) => {
        for (const id of ids) worker.cancelJob(id, 'its lock was lost: another host may work on it');
      });
      workers.add(worker);
      return {
        close: async () => {
          workers.delete(worker);
          await worker.close(!connection.isConnected());
        },
      };
    },
    queues: () =>
      connection.within('queues', async (redis) => (await redis.smembers(`${prefix}queues`)).sort()),
    counts: (name) =>
      ask(name, 'counts', async (queue) => {
        const of = await queue.getJobCounts(...states);
        const sum = (...names: readonly (typeof states)[number][]): number =>
          names.reduce((total, each) => total + (of[each] ?? 0), 0);
        return {
          waiting: sum('wait', 'prioritized'),
          delayed: sum('delayed'),
          active: sum('active'),
          completed: sum('completed'),
          failed: sum('failed'),
        };
      }),
    failed: (name, limit) =>
      ask(name, 'failed', async (queue) =>
        (await queue.getFailed(0, limit - 1)).map((job) => ({
          id: idOf(job.id ?? ''),
          name: job.name === unnamed ? null : job.name,
          data: job.data as Json,
          attempts: job.attemptsMade,
          error: job.failedReason,
          failedAtMs: job.finishedOn ?? 0,
        })),
      ),
    retry: (name, id) =>
      ask(name, 'retry', async (queue) => {
        const job = await queue.getJob(bullId(id));
        if (job === undefined || !(await job.isFailed())) {
          throw new EngineError('missing', `queue ${name}: no failed job has the id ${JSON.stringify(id)}`);
        }
        await job.retry('failed', { resetAttemptsMade: true });
      }),
    close: async () => {
      closing = true;
      const force = !connection.isConnected();
      for (const worker of workers) worker.cancelAllJobs('the engine is closing');
      await Promise.all([...workers].map((worker) => worker.close(force)));
      await Promise.all([...open.values()].map((queue) => queue.close()));
    },
  };
}

const states = ['wait', 'prioritized', 'delayed', 'active', 'completed', 'failed'] as const;
/** BullMQ wants a name. */
const unnamed = '-';

function optionsOf({
  id,
  attempts = usualAttempts,
  backoffMs = usualBackoffMs,
  delayMs = 0,
  priority = 0,
}: NewJob & { readonly id: string }): JobsOptions {
  return {
    jobId: bullId(id),
    attempts,
    backoff: { type: 'doubled', delay: backoffMs },
    ...(delayMs === 0 ? {} : { delay: delayMs }),
    ...(priority === 0 ? {} : { priority }),
    removeOnComplete: keptWhenDone,
    removeOnFail: keptWhenFailed,
  };
}

function jobOf(queue: string, job: BullJob): Job {
  return {
    queue,
    id: idOf(job.id ?? ''),
    name: job.name === unnamed ? null : job.name,
    data: job.data as Json,
    attempt: job.attemptsMade + 1,
    attempts: job.opts.attempts ?? 1,
    addedAtMs: job.timestamp,
  };
}

/** A handler that does not settle once its signal was aborted would hold up the end of the process. */
function handled(handle: Handle, job: Job, signal: AbortSignal): Promise<Json> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(new Error(String(signal.reason ?? 'aborted')));
    if (signal.aborted) aborted();
    else signal.addEventListener('abort', aborted, { once: true });
    handle(job, signal).then(resolve, reject);
  });
}

function waitOf(attempts: number, job: unknown): number {
  const backoff = (job as BullJob | undefined)?.opts.backoff;
  const first = typeof backoff === 'object' ? (backoff.delay ?? 0) : usualBackoffMs;
  return Math.min(first * 2 ** (attempts - 1), longestBackoffMs);
}

/** BullMQ takes a connection that is there already; its types are those of another copy of ioredis. */
export function shared(redis: Connection['main']): ConnectionOptions {
  return redis as unknown as ConnectionOptions;
}

export function bullOptions(prefix: string): { readonly prefix: string; readonly skipVersionCheck: true } {
  return { prefix: `${prefix}queue`, skipVersionCheck: true };
}

/** BullMQ takes no colon in the name of a queue or in an id, and no id that is a number. */
export function bullName(name: string): string {
  return encoded(name);
}

export function bullId(id: string): string {
  return `j-${encoded(id)}`;
}

export function idOf(bullId: string): string {
  return decodeURIComponent(bullId.replace(/^j-/, ''));
}

function encoded(text: string): string {
  return text.replaceAll('%', '%25').replaceAll(':', '%3A');
}
