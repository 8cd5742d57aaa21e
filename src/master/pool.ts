import cluster, { type Worker } from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config.js';
import type { Event } from '../core/events.js';
import type { Failure, WorkerKey } from '../core/model.js';
import { exitCodes } from '../errors/exit-codes.js';
import { type MasterMessage, parseWorkerMessage, seal, type WorkerMessage } from '../ipc/messages.js';
import { settingsVariable, type WorkerSettings } from '../ipc/settings.js';

/** The worker processes, by key. */
export interface Pool {
  fork(key: WorkerKey, settings: WorkerSettings): void;
  send(key: WorkerKey, message: MasterMessage): void;
  /** SIGKILL: a worker that is to be ended politely is sent a message. */
  kill(key: WorkerKey): void;
}

export interface PoolSeam {
  readonly config: Config;
  /** The environment that every worker starts from. */
  readonly env: NodeJS.ProcessEnv;
  readonly post: (event: Event) => void;
  readonly onStatsRequest: (key: WorkerKey, id: number) => void;
  readonly onMalformed: (key: WorkerKey, reason: string) => void;
  /** A process has started, or is gone: for who has to know the PIDs. */
  readonly onPid: (pid: number, alive: boolean) => void;
}

/** What a dead worker's last words may take to be read, ms. */
const lastWords = 500;

export function createPool(seam: PoolSeam): Pool {
  const { config, env, post, onPid } = seam;
  const workers = new Map<WorkerKey, Worker>();
  /** What is said to workers that have not said hello yet. */
  const unsaid = new Map<WorkerKey, MasterMessage[]>();
  setUp(config);

  const forkWorker = (key: WorkerKey, settings: WorkerSettings): void => {
    const worker = cluster.fork({ ...exactly(env), [settingsVariable]: JSON.stringify(settings) });
    workers.set(key, worker);
    unsaid.set(key, []);
    worker.on('message', (raw: unknown) => receive({ ...seam, onHello }, key, raw));
    worker.on('error', (error: Error) => {
      if (worker.process.pid !== undefined) return;
      workers.delete(key);
      post({ type: 'fork-failed', key, failure: noResources(error) });
    });
    const { pid } = worker.process;
    if (pid === undefined) return;
    onPid(pid, true);
    worker.on('exit', (code: number | null, signal: string | null) => {
      onPid(pid, false);
      afterLastWords(worker, () => {
        workers.delete(key);
        unsaid.delete(key);
        post({ type: 'exited', key, code, signal: signal || null });
      });
    });
    post({ type: 'forked', key, pid });
  };

  const say = (key: WorkerKey, message: MasterMessage): void => {
    const worker = workers.get(key);
    // A worker that dies at this moment is reported by its exit, not by the failure to talk to it.
    if (worker?.isConnected()) worker.send(seal(message), () => {});
  };
  const onHello = (key: WorkerKey): void => {
    const messages = unsaid.get(key) ?? [];
    unsaid.delete(key);
    for (const message of messages) say(key, message);
  };

  return {
    fork: (key, settings) => {
      try {
        forkWorker(key, settings);
      } catch (error) {
        post({ type: 'fork-failed', key, failure: noResources(error) });
      }
    },
    send: (key, message) => {
      const waiting = unsaid.get(key);
      if (waiting === undefined) say(key, message);
      else waiting.push(message);
    },
    // Not worker.kill(), which waits for the channel and may wait for ever.
    kill: (key) => void workers.get(key)?.process.kill('SIGKILL'),
  };
}

function setUp({ dispatch, maxOldSpaceSize, maxSemiSpaceSize, app }: Config): void {
  cluster.schedulingPolicy = dispatch === 'round-robin' ? cluster.SCHED_RR : cluster.SCHED_NONE;
  cluster.setupPrimary({
    exec: fileURLToPath(new URL('../worker/main.js', import.meta.url)),
    args: [],
    execArgv: [
      ...process.execArgv,
      `--max-old-space-size=${maxOldSpaceSize}`,
      `--max-semi-space-size=${maxSemiSpaceSize}`,
      ...(needsStripFlag(app) ? ['--experimental-strip-types'] : []),
    ],
  });
}

/** node:cluster adds what the master's own environment has besides, unless it is undefined. */
function exactly(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const hidden = Object.keys(process.env).filter((name) => !(name in env));
  return { ...Object.fromEntries(hidden.map((name) => [name, undefined])), ...env };
}

/** Node strips types by itself from 22.18 on, behind a flag from 22.6 on. */
function needsStripFlag(app: string | null): boolean {
  if (app === null || !/\.[cm]?ts$/.test(app)) return false;
  const flags: ReadonlySet<string> = process.allowedNodeEnvironmentFlags;
  return (
    flags.has('--experimental-strip-types') &&
    !('typescript' in process.features && process.features.typescript)
  );
}

type Receiver = PoolSeam & { readonly onHello: (key: WorkerKey) => void };

function receive(seam: Receiver, key: WorkerKey, raw: unknown): void {
  const parsed = parseWorkerMessage(raw);
  if (parsed.kind === 'malformed') return seam.onMalformed(key, parsed.reason);
  if (parsed.kind === 'message') dispatchMessage(seam, key, parsed.message);
}

function dispatchMessage(
  { post, onStatsRequest, onHello }: Receiver,
  key: WorkerKey,
  message: WorkerMessage,
): void {
  if (message.type === 'hello') onHello(key);
  else if (message.type === 'stats-request') onStatsRequest(key, message.id);
  else post({ ...message, key });
}

/** The process may be gone before its last message is read, and that message says why. */
function afterLastWords(worker: Worker, done: () => void): void {
  if (!worker.isConnected()) return done();
  const timer = setTimeout(done, lastWords);
  worker.once('disconnect', () => {
    clearTimeout(timer);
    done();
  });
}

function noResources(error: unknown): Failure {
  const { message, errno } = error as NodeJS.ErrnoException;
  return {
    message: `no process for a worker to be had: ${message}`,
    exitCode: exitCodes.noResources,
    ...(errno === undefined ? {} : { errno: Math.abs(errno) }),
  };
}
