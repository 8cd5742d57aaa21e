import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { signalGroup } from '../processes.js';
import type { Millis } from '../protocol/limits.js';
import type { JobConfig } from '../settings/jobs.js';
import type { RunCgroup, RunCgroups } from './cgroups.js';
import type { Due } from './dispatch.js';
import { type EntryWork, workVariable } from './entry-work.js';
import type { Output } from './output.js';
import { killRest, markOf, runVariable, sessionMemory } from './processes.js';
import type { Ending } from './state.js';
import type { ProcessMark } from './store.js';

/** Where the processes of runs live: as of the configuration in force. */
export interface Surroundings {
  readonly cwd: string;
  /** The environment of the service's workers. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Flags of Node for the modules of jobs. */
  readonly nodeArgs: (module: string) => readonly string[];
  /** Where the own service listens; null: nowhere. */
  readonly url: () => string | null;
}

export interface Attempt {
  readonly id: string;
  readonly config: JobConfig;
  readonly due: Due | null;
  /** From 1. */
  readonly attempt: number;
  readonly output: Output;
  /** Resolves once it is on disk that the run is under way: the next master must know of each process. */
  readonly noted: Promise<void>;
}

/** The processes of one attempt. */
export interface RunHandle {
  signal(signal: 'SIGTERM' | 'SIGKILL'): void;
}

export interface Runner {
  /** `onEnded` is called once, when all of its processes are gone. */
  start(attempt: Attempt, on: RunnerEvents): RunHandle;
}

export interface RunnerEvents {
  /** The first process is there. */
  readonly onStarted: (where: { readonly leader: ProcessMark; readonly cgroup: string | null }) => void;
  readonly onEnded: (ending: Ending) => void;
}

export interface RunnerSeam {
  readonly surroundings: () => Surroundings;
  readonly cgroups: () => Promise<RunCgroups | null>;
  /** cgroup.procs of the own cgroup, which this process may be moved out of; null: unknown. */
  readonly procs: () => string | null;
}

/** How long the pipes of a run that is gone are read, and how often its memory is looked at where the kernel does not. */
const drainPipes: Millis = 1_000;
const memoryInterval: Millis = 1_000;
const mebibyte = 2 ** 20;

export function createRunner({ surroundings, cgroups, procs }: RunnerSeam): Runner {
  return {
    start: (attempt, on) => {
      const { config, id, output } = attempt;
      let [child, wanted]: [ChildProcess | null, 'SIGTERM' | 'SIGKILL' | null] = [null, null];
      const begin = async (): Promise<Ending> => {
        const limit = config.memoryLimit === null ? null : config.memoryLimit * mebibyte;
        await attempt.noted;
        const all = await cgroups();
        const cgroup =
          all === null ? null : await all.make(`${id}-${attempt.attempt}`, all.limitsMemory ? limit : null);
        const command = commandOf(attempt, surroundings());
        if (typeof command === 'string') {
          await cgroup?.end();
          return notStarted(command, output);
        }
        if (wanted !== null) {
          await cgroup?.end();
          return { ...notStarted('it was ended before it began', output), notStarted: null, signal: wanted };
        }
        const { argv, env } = command;
        const [program = '', ...args] = cgroup === null ? argv : movedInto(cgroup, argv);
        const spawned = spawn(program, args, {
          cwd: surroundings().cwd,
          env,
          // A session of its own: its processes are signalled together.
          detached: true,
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        child = spawned;
        return watched({
          child: spawned,
          attempt,
          cgroup,
          limit,
          hasLimit: all?.limitsMemory === true,
          on,
          procs,
        });
      };
      begin().then(on.onEnded, (error: Error) => on.onEnded(notStarted(error.message, output)));
      return {
        signal: (signal) => {
          wanted = signal;
          if (child?.pid !== undefined) signalGroup(child.pid, signal);
        },
      };
    },
  };
}

interface Watched {
  readonly child: ChildProcess;
  readonly attempt: Attempt;
  readonly cgroup: RunCgroup | null;
  readonly limit: number | null;
  /** Whether the kernel keeps it. */
  readonly hasLimit: boolean;
  readonly on: RunnerEvents;
  readonly procs: () => string | null;
}

/** Resolves when the processes are gone: those that the first one has left, too. */
async function watched({ child, attempt, cgroup, limit, hasLimit, on, procs }: Watched): Promise<Ending> {
  const { output, id } = attempt;
  const exited = new Promise<Pick<Ending, 'code' | 'signal' | 'notStarted'>>((resolve) => {
    child.once('error', (error) =>
      resolve({ code: null, signal: null, notStarted: `cannot start ${child.spawnfile}: ${error.message}` }),
    );
    child.once('exit', (code, signal) => resolve({ code, signal, notStarted: null }));
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  if (child.stdout !== null) output.read('out', child.stdout);
  if (child.stderr !== null) output.read('err', child.stderr);
  const { pid } = child;
  let leader: ProcessMark | null = null;
  let tooMuch = false;
  let endWatch = (): void => {};
  if (pid !== undefined) {
    leader = await markOf(pid);
    on.onStarted({ leader, cgroup: cgroup?.path ?? null });
    if (limit !== null && (cgroup === null || !hasLimit)) {
      endWatch = watchMemory(pid, limit, () => {
        tooMuch = true;
        signalGroup(pid, 'SIGKILL');
      });
    }
  }
  const ending = await exited;
  endWatch();
  const outOfMemory = (await cgroup?.end()) === true || tooMuch;
  if (cgroup === null) await killRest({ leader, runId: id, procs: procs() });
  if (pid !== undefined) {
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, drainPipes))]);
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
  if (ending.notStarted !== null) output.say(`${ending.notStarted}\n`);
  return { ...ending, outOfMemory, outputBytes: output.bytes() };
}

function watchMemory(session: number, limit: number, onTooMuch: () => void): () => void {
  let ended = false;
  const look = async (): Promise<void> => {
    const used = await sessionMemory(session);
    if (ended) return;
    if (used !== null && used > limit) onTooMuch();
    else timer = setTimeout(() => void look(), memoryInterval);
  };
  let timer = setTimeout(() => void look(), memoryInterval);
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

function notStarted(reason: string, output: Output): Ending {
  output.say(`${reason}\n`);
  return { code: null, signal: null, outOfMemory: false, notStarted: reason, outputBytes: output.bytes() };
}

/** The shell moves itself before it becomes the program, so that nothing of the run is ever outside. */
function movedInto({ procs }: RunCgroup, argv: readonly string[]): readonly string[] {
  return ['/bin/sh', '-c', 'echo $$ >"$0" && exec "$@"', procs, ...argv];
}

interface Command {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** A string says why there is none. */
function commandOf({ id, config, due, attempt }: Attempt, around: Surroundings): Command | string {
  const { name, work } = config;
  const env: NodeJS.ProcessEnv = {
    ...around.env,
    ROM_JOB: name,
    [runVariable]: id,
    ROM_JOB_ATTEMPT: `${attempt}`,
    ...(due === null ? {} : { ROM_JOB_DUE: new Date(due.dueMs).toISOString() }),
    ...config.env,
  };
  if (work.kind === 'command') return { argv: work.command, env };
  const entry = fileURLToPath(new URL('../jobs/main.js', import.meta.url));
  const withWork = (what: EntryWork): NodeJS.ProcessEnv => ({ ...env, [workVariable]: JSON.stringify(what) });
  if (work.kind === 'module') {
    return { argv: [process.execPath, ...around.nodeArgs(work.path), entry], env: withWork(work) };
  }
  const url = around.url();
  if (url === null) return 'the service listens nowhere, so that it cannot be asked';
  return { argv: [process.execPath, entry], env: withWork({ ...work, url, job: name }) };
}
