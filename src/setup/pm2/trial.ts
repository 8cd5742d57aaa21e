import { spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitCodes } from '../../errors.js';

export interface Trial {
  /** The configuration file of the service. */
  readonly config: string;
  readonly environment: Readonly<Record<string, string>>;
  /** As whom; null: as this process. */
  readonly as: { readonly uid: number; readonly gid: number } | null;
  /** This program's main file. */
  readonly main: string;
  /** false: the configuration is checked, and nothing is started. */
  readonly boot: boolean;
}

export type TrialResult =
  /** `note`: why the app was not started. */
  { readonly ok: true; readonly note: string | null } | { readonly ok: false; readonly why: string };

/**
 * Starts the service's daemon on a free port, with one worker and directories of its own, beside whoever serves the app
 * now, and stops it once it is ready: what keeps the app from serving is known before anything is stopped.
 */
export async function tryService(trial: Trial): Promise<TrialResult> {
  const checked = await run(['check', '--config', trial.config], trial, '/');
  if (checked.exitCode !== exitCodes.ok) return { ok: false, why: lastOf(checked.said) };
  if (!trial.boot) return { ok: true, note: 'the configuration is right; the app is not started twice' };
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-trial-'));
  try {
    if (trial.as !== null) chownSync(folder, trial.as.uid, trial.as.gid);
    const own = ['--control-socket', join(folder, 'control.sock'), '--state-dir', folder];
    const argv = ['serve', '--config', trial.config, '--port', '0', '--workers', '1', ...own];
    const booted = await run(argv, trial, folder);
    if (booted.ready) return { ok: true, note: null };
    if (booted.exitCode === exitCodes.addressInUse)
      return { ok: true, note: 'not tried: the app listens on a port of its own, which is in use' };
    return { ok: false, why: lastOf(booted.said) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Ended {
  readonly exitCode: number | null;
  readonly ready: boolean;
  readonly said: string;
}

/** The daemon tells its parent that it is ready where it takes that for PM2. */
const asUnderPm2 = { pm_id: 'trial' };
/** ms: more than boot_timeout, which ends it by itself. */
const limit = 120_000;

function run(argv: readonly string[], { main, environment, as }: Trial, home: string): Promise<Ended> {
  const { PATH = '/usr/local/bin:/usr/bin:/bin' } = process.env;
  const child = spawn(process.execPath, [main, ...argv], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { PATH, HOME: home, LOG_FORMAT: 'pretty', ...environment, ...asUnderPm2 },
    timeout: limit,
    ...(as ?? {}),
  });
  const said: string[] = [];
  child.stdout?.on('data', (chunk: Buffer) => said.push(String(chunk)));
  child.stderr?.on('data', (chunk: Buffer) => said.push(String(chunk)));
  let ready = false;
  child.on('message', (message) => {
    if (message !== 'ready') return;
    ready = true;
    child.kill('SIGTERM');
  });
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ exitCode: null, ready, said: error.message }));
    child.once('close', (exitCode) => resolve({ exitCode, ready, said: said.join('') }));
  });
}

/** The end of what was printed, as a sentence. */
function lastOf(said: string): string {
  const lines = said.trim().split('\n');
  return lines.slice(-5).join('; ');
}
