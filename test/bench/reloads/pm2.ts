import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../support/net.js';
import { plainEnvironment, repoRoot, signalPid } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { type Contender, patience, type Reloadable, workers } from './contender.js';
import { app } from './daemon.js';

/** A reload of PM2 takes several times as long. */
const share = 0.25;

export const pm2: Contender = { name: 'PM2', share, start: () => start({}) };
export const pm2Draining: Contender = {
  name: 'PM2, the app closes on SIGINT',
  share,
  start: () => start({ DRAINS: '1' }),
};

const peers = join(repoRoot, 'test', 'bench', 'reloads', 'peers');
const run = promisify(execFile);

async function start(env: Readonly<Record<string, string>>): Promise<Reloadable> {
  const home = mkdtempSync(join(tmpdir(), 'rom-agent-pm2-'));
  await install(home);
  const port = await freePort('127.0.0.1');
  const command = commandIn(home);
  // It leaves the daemon of its own behind, which is not in our process group.
  process.once('exit', () => killDaemon(home));
  writeFileSync(join(home, 'app.json'), JSON.stringify(ecosystem({ PORT: String(port), ...env })));
  await command('start', join(home, 'app.json'));
  await waitFor('PM2', () => fetch(`http://127.0.0.1:${port}/`).then(({ ok }) => ok), { timeout: patience });
  return {
    port,
    reload: async () => {
      const begun = performance.now();
      await command('reload', 'app');
      return performance.now() - begun;
    },
    // It comes back once the old ones are gone.
    settled: async () => {},
    stop: async () => {
      await command('kill');
      rmSync(home, { recursive: true, force: true });
    },
  };
}

function ecosystem(env: Readonly<Record<string, string>>) {
  return { apps: [{ name: 'app', script: app, exec_mode: 'cluster', instances: workers, env }] };
}

function commandIn(home: string): (...args: string[]) => Promise<void> {
  const env = { ...plainEnvironment(), PM2_HOME: home, PM2_DISABLE_VERSION_CHECK: 'true' };
  return async (...args) => {
    const script = join(home, 'node_modules', 'pm2', 'bin', 'pm2');
    await run(process.execPath, [script, ...args], { env, timeout: patience });
  };
}

/** It is no dependency of the project: it comes when it is compared with, and goes with the rest. */
async function install(home: string): Promise<void> {
  process.stderr.write('installing PM2 for the time of the comparison\n');
  for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(peers, file), join(home, file));
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--omit=optional'];
  await run('npm', ['ci', ...flags], { cwd: home, timeout: 5 * 60_000 });
}

function killDaemon(home: string): void {
  const file = join(home, 'pm2.pid');
  if (existsSync(file)) signalPid(Number(readFileSync(file, 'utf8')), 'SIGKILL');
}
