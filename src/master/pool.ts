import cluster, { type ClusterSettings, type Worker } from 'node:cluster';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config.js';
import type { Event } from '../core/events.js';
import { exitCodes } from '../errors.js';
import type { Output } from '../logging/output-file.js';
import { otherBuildOnDisk } from '../protocol/build.js';
import { witnessFd } from '../protocol/capture.js';
import type { Failure } from '../protocol/death-record.js';
import { handleOf, type RawHandle } from '../protocol/handles.js';
import { heapFlags } from '../protocol/heap-flags.js';
import { killGrace } from '../protocol/limits.js';
import {
  channelEvent,
  type EvidenceMessage,
  type HandOnMessage,
  type ListensMessage,
  type MasterMessage,
  parseWorkerMessage,
  seal,
  type WorkerKey,
  type WorkerMessage,
  withLostHandle,
} from '../protocol/messages.js';
import { settingsVariable, type WorkerSettings } from '../protocol/settings.js';
import { createWitness, type Witness } from './capture/witness.js';
import { appFlags } from './node-flags.js';

/** The worker processes, by key. */
export interface Pool {
  fork(key: WorkerKey, settings: WorkerSettings, launch: Launch): void;
  send(key: WorkerKey, message: MasterMessage): void;
  /** As `send`, with a connection, which stays open here. */
  hand(key: WorkerKey, message: MasterMessage, connection: RawHandle): void;
  /** What the app in another worker has to say to the app in this one. */
  tell(key: WorkerKey, message: object): void;
  /** The thread in this process that can be asked where its main thread is; null where it has none. */
  witness(pid: number): Witness | null;
  /** SIGKILL: a worker that is to be ended politely is sent a message. */
  kill(key: WorkerKey): void;
  /**
   * Ends all without the core, which has failed: they drain, and who is left after so many ms is killed. Resolves when
   * they are gone, or have been killed.
   */
  endAll(timeout: number): Promise<void>;
}

/** How the process of a worker is started. */
export interface Launch {
  readonly config: Config;
  /** The environment that it starts from. */
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

export interface PoolSeam {
  /** What a worker has as its standard output and standard error. */
  readonly output: Output;
  readonly dispatch: Config['dispatch'];
  readonly post: (event: Event) => void;
  readonly onStatsRequest: (key: WorkerKey, id: number) => void;
  /** A worker hands a connection on, or says of one that it has taken it. */
  readonly onHandOn: (key: WorkerKey, message: HandOnMessage, connection: RawHandle | undefined) => void;
  /** A worker is ready, or listens elsewhere by now. */
  readonly onListens: (key: WorkerKey, message: ListensMessage) => void;
  /** Where the service is, as far as the workers that are ready know. */
  readonly urls: () => readonly string[];
  /** What a worker has in its environment for its children to inherit. */
  readonly mark: (key: WorkerKey) => NodeJS.ProcessEnv;
  /** Nothing comes from this worker any more. */
  readonly onGone: (key: WorkerKey) => void;
  /** A worker has written a file about itself, or could not. */
  readonly onEvidence: (key: WorkerKey, message: EvidenceMessage) => void;
  /** The app has sent something that is not ours. */
  readonly onAppMessage: (key: WorkerKey, message: unknown) => void;
  readonly onMalformed: (key: WorkerKey, reason: string) => void;
  /** A process has started, or is gone: for who has to know the PIDs. */
  readonly onPid: (pid: number, alive: boolean) => void;
  /** Processes that the kernel has killed for memory since it was asked last; null: it does not say. */
  readonly oomKills: () => number | null;
}

/** What a dead worker's last words may take to be read, ms. */
const lastWords = 500;

export function createPool(seam: PoolSeam): Pool {
  const { dispatch, post, onPid, onGone, oomKills, output } = seam;
  const workers = new Map<WorkerKey, Worker>();
  const witnesses = new Map<number, Witness>();
  /** What is said to workers that have not said hello yet. */
  const unsaid = new Map<WorkerKey, MasterMessage[]>();
  cluster.schedulingPolicy = dispatch === 'round-robin' ? cluster.SCHED_RR : cluster.SCHED_NONE;

  const forkWorker = (key: WorkerKey, settings: WorkerSettings, launch: Launch): void => {
    // It holds for the forks that follow, and for those alone.
    cluster.setupPrimary(setUp(launch, output));
    const worker = cluster.fork({
      ...exactly(launch.env),
      ...seam.mark(key),
      [settingsVariable]: JSON.stringify(settings),
    });
    workers.set(key, worker);
    unsaid.set(key, []);
    worker.process.on(channelEvent, (raw: unknown, connection: unknown) =>
      receive({ ...seam, onHello }, { key, raw, connection: handleOf(connection) }),
    );
    worker.on('message', (message: unknown) => seam.onAppMessage(key, message));
    worker.on('error', (error: Error) => {
      if (worker.process.pid !== undefined) return;
      workers.delete(key);
      post({ type: 'fork-failed', key, failure: noResources(error, launch) });
    });
    const { pid } = worker.process;
    if (pid === undefined) return;
    onPid(pid, true);
    if (launch.config.health.capture === 'on')
      witnesses.set(pid, createWitness(worker.process.stdio[witnessFd] as Duplex | null | undefined));
    worker.on('exit', (code: number | null, signal: string | null) => {
      onPid(pid, false);
      witnesses.delete(pid);
      const kills = oomKills();
      afterLastWords(worker, () => {
        workers.delete(key);
        unsaid.delete(key);
        const known = kills === null ? {} : { oomKills: kills };
        post({ type: 'exited', key, code, signal: signal || null, ...known });
        onGone(key);
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
    fork: (key, settings, launch) => {
      const other = otherBuildOnDisk();
      if (other !== null) {
        const { tryAgain: exitCode } = exitCodes;
        return post({ type: 'fork-failed', key, failure: { message: other, exitCode, lasting: true } });
      }
      try {
        forkWorker(key, settings, launch);
      } catch (error) {
        post({ type: 'fork-failed', key, failure: noResources(error, launch) });
      }
    },
    send: (key, message) => {
      const waiting = unsaid.get(key);
      if (waiting === undefined) say(key, message);
      else waiting.push(message);
    },
    hand: (key, message, connection) => {
      const worker = workers.get(key);
      // Node passes its own handles on as they are. A worker that dies at this moment is reported by its exit.
      if (worker?.isConnected()) worker.send(seal(message), connection as never, () => {});
    },
    tell: (key, message) => {
      const worker = workers.get(key);
      if (worker?.isConnected()) worker.send(message, () => {});
    },
    witness: (pid) => witnesses.get(pid) ?? null,
    // Not worker.kill(), which waits for the channel and may wait for ever.
    kill: (key) => void workers.get(key)?.process.kill('SIGKILL'),
    endAll: async (timeout) => {
      const all = [...workers];
      for (const [key] of all) say(key, { type: 'drain', timeout, last: false });
      const gone = all.map(([, { process }]) =>
        process.exitCode !== null || process.signalCode !== null ? null : once(process, 'exit'),
      );
      await Promise.race([Promise.all(gone), sleep(timeout + killGrace, undefined, { ref: false })]);
      for (const [, { process }] of all) process.kill('SIGKILL');
    },
  };
}

function setUp({ config, cwd }: Launch, { fd }: Output): ClusterSettings {
  const flags = appFlags(config);
  const pipes = config.health.capture === 'on' ? ['pipe' as const] : [];
  return {
    exec: fileURLToPath(new URL('../worker/main.js', import.meta.url)),
    args: [],
    cwd,
    // Where the file of standard output was rotated, the inherited ones are the renamed one.
    stdio:
      fd === 1 ? ['inherit', 'inherit', 'inherit', 'ipc', ...pipes] : ['inherit', fd, fd, 'ipc', ...pipes],
    execArgv: [...flags, ...heapFlags(config)],
    // node:cluster counts up from the port of the master's inspector, from 0 too, which means a free one.
    ...(process.debugPort === 0 ? { inspectPort: 0 } : {}),
  };
}

/** node:cluster adds what the master's own environment has besides, unless it is undefined. */
function exactly(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const hidden = Object.keys(process.env).filter((name) => !(name in env));
  return { ...Object.fromEntries(hidden.map((name) => [name, undefined])), ...env };
}

type Receiver = PoolSeam & { readonly onHello: (key: WorkerKey) => void };

interface Incoming {
  readonly key: WorkerKey;
  readonly raw: unknown;
  readonly connection: RawHandle | undefined;
}

function receive(seam: Receiver, { key, raw, connection }: Incoming): void {
  const parsed = parseWorkerMessage(withLostHandle(raw, connection));
  if (parsed.kind === 'malformed') return seam.onMalformed(key, parsed.reason);
  if (parsed.kind !== 'message') return;
  const { message } = parsed;
  if (message.type === 'hand-on' || message.type === 'taken') return seam.onHandOn(key, message, connection);
  dispatchMessage(seam, key, message);
}

function dispatchMessage(
  { post, onStatsRequest, onHello, onEvidence, onListens, urls }: Receiver,
  key: WorkerKey,
  message: Exclude<WorkerMessage, HandOnMessage>,
): void {
  if (message.type === 'hello') onHello(key);
  else if (message.type === 'stats-request') onStatsRequest(key, message.id);
  else if (message.type === 'evidence') onEvidence(key, message);
  else if (message.type === 'listens') onListens(key, message);
  else if (message.type === 'ready') {
    onListens(key, message);
    post({ type: 'ready', key, urls: urls() });
  } else post({ ...message, key });
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

function noResources(error: unknown, { cwd }: Launch): Failure {
  const { message, errno, code } = error as NodeJS.ErrnoException;
  // Node names the program that was to be started, which is there.
  if ((code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') && !isEntered(cwd))
    return {
      message: `working_directory: ${cwd} does not exist, or is not to be entered by this user`,
      exitCode: exitCodes.moduleMissing,
    };
  return {
    message: `no process for a worker to be had: ${message}`,
    exitCode: exitCodes.noResources,
    ...(errno === undefined ? {} : { errno: Math.abs(errno) }),
  };
}

function isEntered(directory: string): boolean {
  try {
    accessSync(`${directory}/.`, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
