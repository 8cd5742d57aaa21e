import cluster, { type ClusterSettings, type Worker } from 'node:cluster';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
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
  type MasterMessage,
  parseWorkerMessage,
  seal,
  type WorkerKey,
  type WorkerMessage,
  withLostHandle,
} from '../protocol/messages.js';
import { settingsVariable, type WorkerSettings } from '../protocol/settings.js';
import type { Config } from '../settings/config.js';
import { createWitness, type Witness } from './diagnostics/witness.js';
import { appFlags } from './launch.js';

/** The worker processes, by key. */
export interface Pool {
  /** Before the first fork. */
  connect(outlets: PoolOutlets): void;
  fork(key: WorkerKey, settings: WorkerSettings, launch: Launch): void;
  send(key: WorkerKey, message: MasterMessage): void;
  /** As `send`, with a connection. The master's copy stays open. */
  hand(key: WorkerKey, message: MasterMessage, connection: RawHandle): void;
  /** Sends a message of the app in another worker to the app in this one. */
  tell(key: WorkerKey, message: object): void;
  /** The diagnostics thread of this process; null where it has none. */
  witness(pid: number): Witness | null;
  /** Sends SIGKILL. A drain is a message. */
  kill(key: WorkerKey): void;
  /**
   * Ends all workers without the core, which has failed: they drain, and those left after so many ms are killed. Resolves
   * when they have exited or have been killed.
   */
  endAll(timeout: number): Promise<void>;
}

/** How the process of a worker is started. */
export interface Launch {
  readonly config: Config;
  /** The environment, but for what the pool adds. */
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

export interface PoolSeam {
  /** Standard output and standard error of the workers. */
  readonly output: Output;
  readonly dispatch: Config['dispatch'];
  readonly post: (event: Event) => void;
  /** What a worker has in its environment for its children to inherit. */
  readonly mark: (key: WorkerKey) => NodeJS.ProcessEnv;
  /** A process has started, or is gone. */
  readonly onPid: (pid: number, alive: boolean) => void;
  /** Processes that the kernel has killed for memory since the last call; null: unknown. */
  readonly oomKills: () => number | null;
}

/** What is done with each message of a worker. The pool itself answers `hello`. */
export type MessageTable = {
  readonly [Type in Exclude<WorkerMessage['type'], 'hello'>]: (
    from: WorkerKey,
    message: Extract<WorkerMessage, { type: Type }>,
    connection: RawHandle | undefined,
  ) => void;
};

/** Messages that are events of the core as they are. */
const events = [
  'waits',
  'failed',
  'heartbeat',
  'cut',
  'closed',
  'probed',
  'mirror-opened',
  'mirrored',
  'drained',
  'spare',
  'current',
  'proved',
] as const;

export function asEvents(post: (event: Event) => void): Pick<MessageTable, (typeof events)[number]> {
  const take = (key: WorkerKey, message: object): void => post({ ...message, key } as Event);
  return Object.fromEntries(events.map((type) => [type, take])) as unknown as Pick<
    MessageTable,
    (typeof events)[number]
  >;
}

/** Who hears of the workers. */
export interface PoolOutlets {
  readonly messages: MessageTable;
  /** The app sent a message of its own. */
  readonly onAppMessage: (key: WorkerKey, message: unknown) => void;
  readonly onMalformed: (key: WorkerKey, reason: string) => void;
  /** The worker has exited, and its last message has been read. */
  readonly onGone: (key: WorkerKey) => void;
}

/** How long the pool waits for the last messages of a worker that has exited, ms. */
const lastWords = 500;

export function createPool(seam: PoolSeam): Pool {
  const { dispatch, post, onPid, oomKills, output } = seam;
  let outlets: PoolOutlets | null = null;
  const workers = new Map<WorkerKey, Worker>();
  const witnesses = new Map<number, Witness>();
  /** Messages to workers that have not sent hello yet. */
  const unsaid = new Map<WorkerKey, MasterMessage[]>();
  cluster.schedulingPolicy = dispatch === 'round-robin' ? cluster.SCHED_RR : cluster.SCHED_NONE;

  const say = (key: WorkerKey, message: MasterMessage): void => {
    const worker = workers.get(key);
    // Where sending fails the worker is dying, and its exit is reported.
    if (worker?.isConnected()) worker.send(seal(message), () => {});
  };
  const onHello = (key: WorkerKey): void => {
    const messages = unsaid.get(key) ?? [];
    unsaid.delete(key);
    for (const message of messages) say(key, message);
  };

  const forkWorker = (key: WorkerKey, settings: WorkerSettings, launch: Launch): void => {
    // Its settings hold for the next fork.
    cluster.setupPrimary(setUp(launch, output));
    if (outlets === null) throw new Error('the pool is not connected');
    const { onAppMessage, onGone } = outlets;
    const receive = receiver(outlets, { onHello, onDrained: () => say(key, { type: 'dismissed' }) });
    const worker = cluster.fork({
      ...exactly(launch.env),
      ...seam.mark(key),
      [settingsVariable]: JSON.stringify(settings),
    });
    workers.set(key, worker);
    unsaid.set(key, []);
    worker.process.on(channelEvent, (raw: unknown, connection: unknown) =>
      receive(key, raw, handleOf(connection)),
    );
    worker.on('message', (message: unknown) => onAppMessage(key, message));
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

  return {
    connect: (all) => {
      outlets = all;
    },
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
      // Node passes its own handles as they are. Where sending fails the worker is dying, and its exit is reported.
      if (worker?.isConnected()) worker.send(seal(message), connection as never, () => {});
    },
    tell: (key, message) => {
      const worker = workers.get(key);
      if (worker?.isConnected()) worker.send(message, () => {});
    },
    witness: (pid) => witnesses.get(pid) ?? null,
    // Not worker.kill(), which waits for the channel, possibly for ever.
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
    // After a rotation of its file, the inherited standard output is the renamed file.
    stdio:
      fd === 1 ? ['inherit', 'inherit', 'inherit', 'ipc', ...pipes] : ['inherit', fd, fd, 'ipc', ...pipes],
    execArgv: [...flags, ...heapFlags(config)],
    // node:cluster adds 1 to the master's inspector port for each worker; port 0 means a free one.
    ...(process.debugPort === 0 ? { inspectPort: 0 } : {}),
  };
}

/** node:cluster adds every variable of the master's environment, unless it is undefined here. */
function exactly(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const hidden = Object.keys(process.env).filter((name) => !(name in env));
  return { ...Object.fromEntries(hidden.map((name) => [name, undefined])), ...env };
}

interface Answers {
  readonly onHello: (from: WorkerKey) => void;
  readonly onDrained: () => void;
}

function receiver({ messages, onMalformed }: PoolOutlets, { onHello, onDrained }: Answers) {
  return (from: WorkerKey, raw: unknown, connection: RawHandle | undefined): void => {
    const parsed = parseWorkerMessage(withLostHandle(raw, connection));
    if (parsed.kind === 'malformed') return onMalformed(from, parsed.reason);
    if (parsed.kind !== 'message') return;
    const { message } = parsed;
    if (message.type === 'hello') return onHello(from);
    if (message.type === 'drained') onDrained();
    // The table has for each type who takes a message of that type.
    const take = messages[message.type] as (
      from: WorkerKey,
      message: WorkerMessage,
      connection: RawHandle | undefined,
    ) => void;
    take(from, message, connection);
  };
}

/** The process may have exited before its last message is read, which says why. */
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
  // Node's message blames the program, which is there.
  if ((code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') && !isEntered(cwd))
    return {
      message: `working_directory: ${cwd} does not exist, or this user may not enter it`,
      exitCode: exitCodes.moduleMissing,
    };
  return {
    message: `cannot start a worker process: ${message}`,
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
