import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { plainEnvironment, signalPid } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';

/** One entry of `pm2 jlist`, as far as it is of interest. */
export interface Listed {
  readonly name: string;
  readonly pid: number;
  readonly pm2_env: {
    readonly status: string;
    readonly restart_time: number;
    readonly exec_mode: string;
  };
}

/** A PM2 of its own, in a home of its own. */
export interface Pm2 {
  readonly home: string;
  /** For what finds PM2 by its home and its program. */
  readonly env: Readonly<Record<string, string>>;
  run(...args: string[]): Promise<string>;
  list(): Promise<readonly Listed[]>;
  /** What the apps have written to its log files. */
  log(): string;
}

const patience = 120_000;

/** @param folder where PM2 is installed */
export function startPm2(folder: string, t: { after(hook: () => Promise<void>): void }): Pm2 {
  const home = mkdtempSync(join(tmpdir(), 'rom-agent-pm2-'));
  const bin = join(folder, 'node_modules', '.bin');
  const plain = plainEnvironment();
  const env = {
    ...plain,
    PATH: `${bin}:${plain.PATH ?? ''}`,
    PM2_HOME: home,
    PM2_DISABLE_VERSION_CHECK: 'true',
  };
  const run = async (...args: string[]): Promise<string> => {
    const script = join(folder, 'node_modules', 'pm2', 'bin', 'pm2');
    const { stdout } = await promisify(execFile)(process.execPath, [script, ...args], {
      env,
      timeout: patience,
      maxBuffer: 64 * 2 ** 20,
    });
    return stdout;
  };
  t.after(async () => {
    await run('kill').catch(() => {});
    // Its daemon is in no process group of ours.
    const file = join(home, 'pm2.pid');
    if (existsSync(file)) signalPid(Number(readFileSync(file, 'utf8')), 'SIGKILL');
    await waitFor('the home of PM2 to be gone', () => {
      rmSync(home, { recursive: true, force: true });
      return !existsSync(home);
    });
  });
  return {
    home,
    env,
    run,
    list: async () => {
      const text = await run('jlist');
      return JSON.parse(text.slice(text.lastIndexOf('\n[') + 1)) as Listed[];
    },
    log: () => {
      const logs = join(home, 'logs');
      const files = existsSync(logs) ? readdirSync(logs) : [];
      return files.map((name) => readFileSync(join(logs, name), 'utf8')).join('\n');
    },
  };
}
