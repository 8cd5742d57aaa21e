import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../support/net.js';
import { repoRoot } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { inside } from '../../system/systemd/boot.js';
import type { Machine } from '../../system/systemd/booted-machine.js';
import { place, type Running, type Setup, type Subject, workers } from './subject.js';

/** Installed for the time of the comparison, where the machine sees it at the same path. */
export interface Pm2 {
  readonly folder: string;
  remove(): void;
}

export async function installPm2(): Promise<Pm2> {
  const folder = mkdtempSync('/var/tmp/rom-agent-faults-pm2-');
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  const peers = join(repoRoot, 'test', 'bench', 'reloads', 'peers');
  for (const file of ['package.json', 'package-lock.json'])
    copyFileSync(join(peers, file), join(folder, file));
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--omit=optional'];
  // With the environment of this side: a registry may be behind a proxy.
  await promisify(execFile)('npm', ['ci', ...flags], { cwd: folder, timeout: 5 * 60_000 });
  return { folder, remove };
}

/** PM2 in the unit that `pm2 startup` writes, but that it starts the app instead of a list saved before. */
export function pm2(machine: Machine, { folder }: Pm2): Subject {
  return { name: 'PM2', start: (setup) => start(machine, folder, setup) };
}

async function start(machine: Machine, folder: string, { env = {}, settings = [] }: Setup): Promise<Running> {
  const unit = `pm2-faults-${++last}.service`;
  const home = `/root/.pm2-faults-${last}`;
  const port = await freePort('127.0.0.1');
  const app = {
    name: 'app',
    script: `${inside.repo}/test/bench/faults/peers/app.cjs`,
    exec_mode: 'cluster',
    instances: workers,
    env: { PORT: String(port), PLACE: place, ...env },
    ...(env.LOG_DIR === undefined
      ? {}
      : { out_file: `${env.LOG_DIR}/out`, error_file: `${env.LOG_DIR}/error` }),
  };
  await machine.writeFile(`${home}/app.json`, JSON.stringify({ apps: [app] }));
  await machine.unit(unit, unitText({ folder, home }));
  await machine.unit(`${unit}.d/faults.conf`, ['[Service]', ...settings, ''].join('\n'));
  const run = running({ machine, unit, home, port, folder });
  try {
    await machine.must(['systemctl', 'start', unit], { timeout: 60_000 });
    await waitFor('PM2', () => run.ready(), { timeout: 30_000, until: (pids) => pids.length === workers });
    const answers = () => fetch(`http://127.0.0.1:${port}/work?ms=0`).then(({ ok }) => ok);
    await waitFor('an answer through PM2', answers, { timeout: 30_000 });
  } catch (error) {
    const said = await run.log().catch(() => '');
    await run.stop();
    throw new Error(`${error instanceof Error ? error.message : error}\n${said}`, { cause: error });
  }
  return run;
}

let last = 0;

function running({ machine, unit, home, port, folder }: Place): Running {
  const argv = (...args: string[]) => [
    ...['env', `PM2_HOME=${home}`, 'PM2_DISABLE_VERSION_CHECK=true'],
    ...[process.execPath, join(folder, 'node_modules', 'pm2', 'bin', 'pm2'), ...args],
  ];
  const ready = async () => {
    const text = await machine.must(argv('jlist'), { timeout: 15_000 });
    const all = JSON.parse(text.slice(text.lastIndexOf('\n[') + 1)) as Listed[];
    return all.flatMap(({ pid, pm2_env: { status } }) => (status === 'online' && pid ? [pid] : []));
  };
  return {
    unit,
    port,
    cast: async () => {
      const processes = await machine.pids(unit);
      const pid = await machine.mainPid(unit);
      const master = processes.find((one) => one.pid === pid);
      if (master === undefined) throw new Error(`${unit} has no main process`);
      return { master, workers: processes.filter(({ parent }) => parent === pid) };
    },
    ready,
    reload: async () => {
      const { code } = await machine.run(argv('reload', 'app'), { timeout: 60_000 });
      return code === 0 ? 'done' : 'refused';
    },
    state: async () => {
      const { ActiveState, NRestarts } = await machine.show(unit, ['ActiveState', 'NRestarts']);
      return { active: ActiveState === 'active', restarts: Number(NRestarts) };
    },
    log: async () => {
      const files = ['sh', '-c', 'cat "$1"/pm2.log "$1"/logs/*', 'sh', home];
      const own = (await machine.run(files)).stdout;
      const journal = await machine.journal(unit);
      return [own, ...journal.map(({ message }) => message)].join('\n');
    },
    entries: () => machine.journal(unit),
    stop: async () => {
      await machine.removeUnit(unit);
      await machine.must(['rm', '-rf', home]);
    },
  };
}

interface Place {
  readonly machine: Machine;
  readonly unit: string;
  readonly home: string;
  readonly port: number;
  readonly folder: string;
}

/** What jlist says of a process, as far as it is of interest. */
interface Listed {
  readonly pid: number;
  readonly pm2_env: { readonly status: string };
}

function unitText({ folder, home }: { folder: string; home: string }): string {
  const modules = join(folder, 'node_modules', 'pm2');
  const template = readFileSync(join(modules, 'lib', 'templates', 'init-scripts', 'systemd.tpl'), 'utf8');
  const program = `${process.execPath} ${join(modules, 'bin', 'pm2')}`;
  return template
    .replaceAll('%USER%', 'root')
    .replaceAll('%NODE_PATH%', dirname(process.execPath))
    .replaceAll('%HOME_PATH%', home)
    .replaceAll('%PM2_PATH%', program)
    .replace(/^(ExecStart=.*) resurrect$/m, `$1 start ${home}/app.json`);
}
