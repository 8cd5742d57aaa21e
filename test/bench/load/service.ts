import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../support/net.js';
import { descendants } from '../../support/proc.js';
import { plainEnvironment, signalPid } from '../../support/process.js';
import { type Contender, readyLine } from './contenders.js';

/** A contender that serves. */
export interface Service {
  readonly url: string;
  /**
   * Master and workers, which stay the same. Not asked for before each load: a look at all of /proc has a bearing on where
   * the kernel then runs whom.
   */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** How long a start or a stop may take, ms, unless told. */
const usualPatience = 15_000;

export async function startService(
  contender: Contender,
  { patience = usualPatience }: { readonly patience?: number } = {},
): Promise<Service> {
  const port = await freePort();
  const child = spawn(process.execPath, contender.args(port), {
    // Not in the repository: a .env there would be read.
    cwd: tmpdir(),
    env: {
      ...plainEnvironment(),
      ...contender.env(port),
    },
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = child.pid ?? fail(`${contender.name} did not start`);
  running.add(pid);
  await seeReady(child, contender, patience);
  return {
    url: `http://127.0.0.1:${port}/api/info`,
    pids: [pid, ...(await descendants(pid))],
    stop: () => stop(child, pid, patience),
  };
}

async function seeReady(child: ChildProcess, { name }: Contender, patience: number): Promise<void> {
  let output = '';
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (readyLine.test(output)) resolve();
    });
    child.once('exit', () => reject(new Error(`${name} ended before it was ready:\n${output}`)));
  });
  const late = sleep(patience, undefined, { ref: false }).then(() =>
    fail(`${name} was not ready within ${patience} ms:\n${output}`),
  );
  return Promise.race([ready, late]);
}

async function stop(child: ChildProcess, pid: number, patience: number): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit', { signal: AbortSignal.timeout(patience) });
    signalPid(pid, 'SIGTERM');
    await exited;
  }
  signalPid(-pid, 'SIGKILL');
  running.delete(pid);
}

function fail(message: string): never {
  throw new Error(message);
}

const running = new Set<number>();

// The process groups are their own, so that a Ctrl-C reaches only us.
process.once('SIGINT', () => process.exit(130));
process.on('exit', () => {
  for (const pid of running) signalPid(-pid, 'SIGKILL');
});
