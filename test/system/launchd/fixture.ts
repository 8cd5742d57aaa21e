import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { repoRoot } from '../../support/process.js';
import { type Job, loadJob } from './job.js';
import { bootstrap, type Standin, type StandinOptions } from './standin.js';

export interface Loaded {
  readonly job: Job;
  readonly standin: Standin;
  /** What the job wrote so far, to both of its files. */
  output(): string;
}

export interface LoadOptions extends StandinOptions {
  /** Runs this script in place of the plist's program. */
  readonly script?: string;
  /** Put after the plist's arguments. */
  readonly args?: readonly string[];
  /** Takes the place of keys of the plist. */
  readonly override?: Partial<Job>;
}

/** Loads the shipped plist into the stand-in, in directories of its own; all of it is gone after the test. */
export function load(t: TestContext, { script, args = [], override, ...options }: LoadOptions = {}): Loaded {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-launchd-'));
  chmodSync(directory, 0o755);
  const job = { ...jobIn(directory, script, args), ...override };
  const standin = bootstrap(job, options);
  t.after(() => {
    standin.destroy();
    rmSync(directory, { recursive: true, force: true });
  });
  return { job, standin, output: () => readFileSync(job.StandardErrorPath, 'utf8') };
}

function jobIn(directory: string, script: string | undefined, args: readonly string[]): Job {
  const logs = join(directory, 'log');
  mkdirSync(logs);
  const job = loadJob({
    NODE: process.execPath,
    LIBDIR: repoRoot,
    USER: 'unused',
    GROUP: 'unused',
    LOGDIR: logs,
    STATEDIR: directory,
  });
  const program = script === undefined ? job.ProgramArguments : [process.execPath, '-e', script];
  return { ...job, ProgramArguments: [...program, ...args] };
}
