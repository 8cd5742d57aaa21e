import { type ChildProcess, spawn } from 'node:child_process';
import type { Job } from './job.js';

/** Time as the stand-in sees it, in seconds of the plist. */
export interface Clock {
  now(): number;
  /** Calls `wake` after so many seconds; the returned function takes that back. */
  after(seconds: number, wake: () => void): () => void;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One thing that the stand-in did or saw, for assertions. */
export type Entry =
  | { readonly what: 'launch'; readonly pid: number }
  | { readonly what: 'signal'; readonly signal: 'SIGTERM' | 'SIGKILL'; readonly to: 'main' | 'group' }
  | ({ readonly what: 'exit' } & Exit)
  | { readonly what: 'throttle'; readonly seconds: number };

export interface Standin {
  readonly log: readonly Entry[];
  /** The main process, which is also the process group; null between two runs. */
  pid(): number | null;
  /** What `launchctl bootout` does: SIGTERM, after ExitTimeOut SIGKILL, no new start. Null if nothing ran. */
  bootout(): Promise<Exit | null>;
  /** For the end of a test: kills whatever still runs in any group that was ever started. */
  destroy(): void;
}

export interface StandinOptions {
  readonly clock?: Clock;
  /** Added to the plist's EnvironmentVariables, as by `launchctl setenv`. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Loads a job as launchd does. Each run leads a session and a process group of its own and gets the plist's
 * directory, environment, umask, limits and files. When the main process has ended, the rest of its group
 * gets one SIGTERM and no more, as from launchd (TN2083; job_reap() in the published sources), unless
 * AbandonProcessGroup. UserName, GroupName and ProcessType have no counterpart here and are not applied.
 */
export function bootstrap(job: Job, { clock = realClock, environment = {} }: StandinOptions = {}): Standin {
  const log: Entry[] = [];
  const groups: number[] = [];
  let main: ChildProcess | null = null;
  let cancelRelaunch = () => {};
  let stopping = false;

  const launch = () => {
    const startedAt = clock.now();
    const child = start(job, environment);
    const pid = child.pid ?? fail(`${job.ProgramArguments[0]} cannot be started`);
    main = child;
    groups.push(pid);
    log.push({ what: 'launch', pid });
    child.once('exit', (code, signal) => {
      main = null;
      log.push({ what: 'exit', code, signal });
      if (job.AbandonProcessGroup !== true && signalGroup(pid, 'SIGTERM')) {
        log.push({ what: 'signal', signal: 'SIGTERM', to: 'group' });
      }
      if (!stopping && wantsRestart(job, { code, signal })) relaunch(startedAt);
    });
  };

  const relaunch = (startedAt: number) => {
    const seconds = Math.max(0, startedAt + job.ThrottleInterval - clock.now());
    log.push({ what: 'throttle', seconds });
    cancelRelaunch = clock.after(seconds, launch);
  };

  const bootout = async (): Promise<Exit | null> => {
    stopping = true;
    cancelRelaunch();
    const child = main;
    if (child === null) return null;
    const exited = new Promise<Exit>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    log.push({ what: 'signal', signal: 'SIGTERM', to: 'main' });
    child.kill('SIGTERM');
    const cancelKill = job.ExitTimeOut === 0 ? () => {} : clock.after(job.ExitTimeOut, () => cut(child));
    const exit = await exited;
    cancelKill();
    return exit;
  };

  const cut = (child: ChildProcess) => {
    log.push({ what: 'signal', signal: 'SIGKILL', to: 'main' });
    child.kill('SIGKILL');
  };

  // KeepAlive with SuccessfulExit implies RunAtLoad; both lead to one first start.
  launch();
  return {
    log,
    pid: () => main?.pid ?? null,
    bootout,
    destroy: () => {
      stopping = true;
      cancelRelaunch();
      for (const pid of groups) signalGroup(pid, 'SIGKILL');
    },
  };
}

export const realClock: Clock = scaledClock(1);

/** A clock on which a second of the plist lasts `factor` seconds. */
export function scaledClock(factor: number): Clock {
  return {
    now: () => performance.now() / 1000 / factor,
    after: (seconds, wake) => {
      const timer = setTimeout(wake, seconds * factor * 1000);
      return () => clearTimeout(timer);
    },
  };
}

function start(job: Job, environment: Readonly<Record<string, string>>): ChildProcess {
  return spawn(
    '/bin/sh',
    ['-c', setup(job), job.Label, job.StandardOutPath, job.StandardErrorPath, ...job.ProgramArguments],
    {
      detached: true,
      cwd: job.WorkingDirectory,
      env: { ...base(job), ...environment, ...job.EnvironmentVariables },
      stdio: 'ignore',
    },
  );
}

/** Umask, limits and files are set by a shell that then becomes the program, so that they are the program's alone. */
function setup(job: Job): string {
  return [
    `umask ${job.Umask.toString(8)}`,
    'out=$1 err=$2; shift 2',
    'exec >>"$out" 2>>"$err" </dev/null',
    // The soft limit first, where it is lowered; the hard one first, where it is raised.
    `ulimit -Sn ${job.SoftResourceLimits.NumberOfFiles} 2>/dev/null`,
    `ulimit -Hn ${job.HardResourceLimits.NumberOfFiles}`,
    `ulimit -Sn ${job.SoftResourceLimits.NumberOfFiles}`,
    'exec "$@"',
  ].join('\n');
}

/** A LaunchDaemon inherits nothing from a login shell. */
function base(job: Job): Record<string, string> {
  return { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', XPC_SERVICE_NAME: job.Label, XPC_FLAGS: '0x0' };
}

function wantsRestart(job: Job, { code }: Exit): boolean {
  return job.KeepAlive.SuccessfulExit === (code === 0);
}

/** False where the group is gone. */
function signalGroup(pgid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pgid, signal);
    return true;
  } catch {
    return false;
  }
}

function fail(message: string): never {
  throw new Error(`launchd stand-in: ${message}`);
}
