import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../support/net.js';
import type { NotifySocket } from '../../support/notify-socket.js';
import { mainPath, repoRoot, signalPid } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import {
  firstAnswer,
  type NodeBinary,
  patience,
  run,
  type Service,
  start,
  treeOf,
  workersThere,
} from './service.js';

/** The apps that everybody hosts, unmodified; the built-in one is rom-agent's own, and its twin in a bare cluster. */
export const apps = ['koa', 'http', 'express', 'fastify', 'built-in'] as const;
export type App = (typeof apps)[number];

export interface Launch {
  readonly app: App;
  readonly node: NodeBinary;
  readonly workers: number;
  /** With what npm installed, and the apps. */
  readonly installed: string;
  /** Where a start has a folder of its own. */
  readonly scratch: string;
  /** Settings beyond those that it ships with. */
  readonly env?: Readonly<Record<string, string>>;
  /** For READY=1, where that is measured. */
  readonly notify?: NotifySocket;
}

/** What an app is hosted in. */
export interface Peer {
  /** In BENCH_PEERS. */
  readonly id: string;
  readonly name: string;
  /** Why it does not run that app on that Node, with so many workers; null: it does. */
  readonly unfit: (launch: Pick<Launch, 'app' | 'node' | 'workers'>) => string | null;
  readonly start: (launch: Launch) => Promise<Service>;
}

const onlyApps = ({ app }: Pick<Launch, 'app'>) =>
  app === 'built-in' ? 'the built-in app is not its' : null;

export const romAgent: Peer = rom({ id: 'rom-agent', name: 'rom-agent', script: mainPath });

/** Another build of rom-agent, for A and B: BENCH_BASE is its dist/cli/main.js. */
export const base: Peer | null =
  process.env.BENCH_BASE === undefined
    ? null
    : rom({ id: 'base', name: 'rom-agent (base)', script: process.env.BENCH_BASE });

const pm2: Peer = { id: 'pm2', name: 'PM2', unfit: onlyApps, start: startPm2 };
const watt: Peer = {
  id: 'watt',
  name: 'Watt',
  unfit: (launch) => (launch.node.major < 22 ? 'needs Node 22' : onlyApps(launch)),
  start: startWatt,
};
const roundRobin: Peer = bare({ id: 'rr', name: 'cluster, round-robin', policy: 'rr' });
const shared: Peer = bare({ id: 'shared', name: 'cluster, shared queue', policy: 'none' });
const single: Peer = {
  id: 'single',
  name: 'one process',
  unfit: (launch) => (launch.workers === 2 ? onlyApps(launch) : 'has no workers'),
  start: startSingle,
};

/** In the order of the tables. */
export const peers: readonly Peer[] = [
  romAgent,
  ...(base ? [base] : []),
  pm2,
  watt,
  roundRobin,
  shared,
  single,
];

function pathOf(app: App): string {
  return app === 'built-in' ? '/api/info' : '/';
}

function appFile({ app, installed }: Launch): string {
  return join(installed, 'apps', `${app}.cjs`);
}

function folderOf({ scratch }: Launch): string {
  mkdirSync(scratch, { recursive: true });
  return mkdtempSync(join(scratch, 'run-'));
}

function rom({ id, name, script }: { id: string; name: string; script: string }): Peer {
  return {
    id,
    name,
    unfit: () => null,
    start: async (launch) => {
      const { app, node, workers, notify, env: more = {} } = launch;
      const [folder, port] = [folderOf(launch), await freePort()];
      const env = {
        PORT: `${port}`,
        WORKERS: `${workers}`,
        ROM_AGENT_CONTROL_SOCKET: join(folder, 'control.sock'),
        ROM_AGENT_STATE_DIR: join(folder, 'state'),
        ...(notify === undefined ? {} : { NOTIFY_SOCKET: notify.path }),
        ...more,
      };
      const args = [script, 'serve', ...(app === 'built-in' ? [] : [appFile(launch)])];
      const before = notify?.datagrams.length ?? 0;
      const child = start({ node, args, env, folder });
      const where = { port, path: pathOf(app) };
      const answered = await firstAnswer(where, () => (child.ended() ? `${name}: ${child.log()}` : null));
      const processes = () => treeOf(child.pid, node);
      await workersThere(processes, workers);
      return {
        ...where,
        tookToAnswer: answered - child.startedAt,
        tookToReady: () =>
          notify === undefined ? null : readyDatagram(notify, before).then((at) => at - child.startedAt),
        processes,
        apart: true,
        reload: () => run({ node, args: [script, 'reload'], env, folder }),
        stop: child.stop,
      };
    },
  };
}

async function readyDatagram(socket: NotifySocket, before: number): Promise<number> {
  const find = () => socket.datagrams.slice(before).find(({ text }) => /^READY=1$/m.test(text));
  const found = await waitFor('READY=1', find, { timeout: patience, interval: 2 });
  return found?.at ?? Number.NaN;
}

/** node:cluster with either of its policies, by its own variable. */
function bare({ id, name, policy }: { id: string; name: string; policy: 'rr' | 'none' }): Peer {
  return {
    id,
    name,
    unfit: ({ app, workers }) => (app === 'built-in' && workers !== 2 ? 'the twin has two workers' : null),
    start: async (launch) => {
      const { app, node, workers, installed } = launch;
      const [folder, port] = [folderOf(launch), await freePort()];
      const script =
        app === 'built-in'
          ? join(repoRoot, 'test', 'bench', 'peers', 'apps', 'built-in-twin.mjs')
          : join(installed, 'apps', 'bare-cluster.cjs');
      const env = {
        PORT: `${port}`,
        WORKERS: `${workers}`,
        APP: appFile(launch),
        NODE_CLUSTER_SCHED_POLICY: policy,
      };
      const child = start({ node, args: [script], env, folder });
      const where = { port, path: pathOf(app) };
      const ready = waitFor('the ready line', () => /serving with/.test(child.log()), {
        timeout: patience,
        interval: 2,
      }).then(() => performance.now());
      ready.catch(() => {});
      const answered = await firstAnswer(where, () => (child.ended() ? `${name}: ${child.log()}` : null));
      const readyAt = await ready;
      return {
        ...where,
        tookToAnswer: answered - child.startedAt,
        tookToReady: () => Promise.resolve(readyAt - child.startedAt),
        processes: () => treeOf(child.pid, node),
        apart: true,
        reload: null,
        stop: child.stop,
      };
    },
  };
}

async function startSingle(launch: Launch): Promise<Service> {
  const { app, node } = launch;
  const [folder, port] = [folderOf(launch), await freePort()];
  const child = start({ node, args: [appFile(launch)], env: { PORT: `${port}` }, folder });
  const where = { port, path: pathOf(app) };
  const answered = await firstAnswer(where, () => (child.ended() ? child.log() : null));
  return {
    ...where,
    tookToAnswer: answered - child.startedAt,
    tookToReady: () => null,
    processes: async () => ({ master: [], workers: [child.pid] }),
    apart: true,
    reload: null,
    stop: child.stop,
  };
}

/** In cluster mode, with a home and so a daemon of its own. */
async function startPm2(launch: Launch): Promise<Service> {
  const { app, node, workers, installed } = launch;
  const [folder, port] = [folderOf(launch), await freePort()];
  const env = { PM2_HOME: join(folder, 'home'), PM2_DISABLE_VERSION_CHECK: 'true' };
  const command = (...args: string[]) => ({
    node,
    args: [join(installed, 'node_modules', 'pm2', 'bin', 'pm2'), ...args],
    env,
    folder,
  });
  const ecosystem = {
    name: 'app',
    script: appFile(launch),
    exec_mode: 'cluster',
    instances: workers,
    env: { PORT: `${port}`, NODE_ENV: 'production' },
  };
  const file = join(folder, 'app.json');
  writeFileSync(file, JSON.stringify({ apps: [ecosystem] }));
  const pidFile = join(env.PM2_HOME, 'pm2.pid');
  const master = () => (existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0);
  // It leaves a daemon behind that is not in our process group.
  const kill = () => master() > 0 && signalPid(master(), 'SIGKILL');
  process.once('exit', kill);
  const startedAt = performance.now();
  let failure: string | null = null;
  const started = run(command('start', file)).catch((error: Error) => {
    failure = `PM2: ${error.message}`;
  });
  const where = { port, path: pathOf(app) };
  const answered = await firstAnswer(where, () => failure);
  await started;
  const processes = () => treeOf(master(), node);
  await workersThere(processes, workers);
  return {
    ...where,
    tookToAnswer: answered - startedAt,
    tookToReady: () => null,
    processes,
    apart: true,
    reload: () => run(command('reload', 'app')),
    stop: async () => {
      const { workers: all } = await processes();
      await run(command('kill')).catch(() => kill());
      for (const pid of all) signalPid(pid, 'SIGKILL');
      process.off('exit', kill);
    },
  };
}

/** Its workers are threads of one process. */
async function startWatt(launch: Launch): Promise<Service> {
  const { app, node, workers, installed } = launch;
  const port = await freePort();
  const folder = mkdtempSync(join(installed, 'watt-'));
  const name = folder.replace(/.*\//, '');
  const configuration = {
    module: '@platformatic/node',
    node: { main: 'server.cjs' },
    runtime: { server: { hostname: '127.0.0.1', port }, workers: { static: workers } },
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, private: true, main: 'server.cjs' }));
  writeFileSync(join(folder, 'watt.json'), JSON.stringify(configuration));
  writeFileSync(join(folder, 'server.cjs'), `require(${JSON.stringify(appFile(launch))});\n`);
  const wattpm = join(installed, 'node_modules', 'wattpm', 'bin', 'cli.js');
  const env = { PORT: `${port}` };
  const child = start({ node, args: [wattpm, 'start'], env, folder });
  const where = { port, path: pathOf(app) };
  const answered = await firstAnswer(where, () => (child.ended() ? `Watt: ${child.log()}` : null));
  return {
    ...where,
    tookToAnswer: answered - child.startedAt,
    tookToReady: () => null,
    processes: async () => {
      const { master, workers: below } = await treeOf(child.pid, node);
      return { master: [...master, ...below], workers: [] };
    },
    apart: false,
    reload: () => run({ node, args: [wattpm, 'restart', `${child.pid}`], env, folder }),
    stop: async () => {
      await child.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
