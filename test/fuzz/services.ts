import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, freePort } from '../support/net.js';
import { type Daemon, fixtures, mainPath, startDaemon } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { certificate } from '../unit/worker/certificate.js';
import { cutAnswers } from './answers.js';
import { play, type Target } from './client.js';
import { type AppLog, readAppLog } from './executed.js';
import { type Reaper, startReaper } from './reaper.js';
import { placeholders, type Script, type ServerName, type Step, serverNames } from './script.js';

/** How the daemon runs, and what happens to it meanwhile. `off`: nothing is moved. `plain`: no daemon at all. */
export const modes = [
  'balance',
  'sticky-address',
  'sticky-cookie',
  'reload',
  'kill',
  'off',
  'plain',
] as const;
export type Mode = (typeof modes)[number];

export interface ServiceOptions {
  readonly mode: Mode;
  /** The node that runs both sides; this one unless told. */
  readonly node?: string;
  /** Of the daemon, built; see variant.ts. */
  readonly main?: string;
  /** An empty folder. */
  readonly folder: string;
  /** Its workers are to find out that they cannot move connections. */
  readonly refuses?: boolean;
}

/** The app, under node itself or under the daemon. */
export interface Service {
  readonly target: Target;
  readonly daemon: Daemon;
  /** So far. */
  log(): AppLog;
  /** Ends it, and with it the log. */
  stop(): Promise<AppLog>;
}

export interface Services {
  readonly plain: Service;
  readonly agent: Service & { readonly control: string };
  /** Values of the sticky cookie, of each worker one; empty where nothing is sticky by it. */
  readonly cookies: readonly string[];
}

let reaper: Reaper | null = null;
const app = join(fixtures, 'fuzz', 'app.cjs');
/** Of the daemon. */
export const workers = 2;
const patience = 60_000;

const flags: Readonly<Record<Mode, readonly string[]>> = {
  balance: ['--balance', 'on'],
  'sticky-address': ['--sticky', 'address'],
  'sticky-cookie': ['--sticky', 'cookie'],
  reload: ['--balance', 'on', '--reload-probe', 'none'],
  kill: [
    ...['--balance', 'on', '--restart-intensity', '100000'],
    ...['--restart-crash-delay', '10ms', '--restart-crash-delay-max', '50ms'],
  ],
  off: ['--balance', 'off'],
  plain: [],
};

/** Starts both, and waits until they serve and connections move. */
export async function startServices({
  mode,
  node = process.execPath,
  main = mainPath,
  folder,
  refuses = false,
}: ServiceOptions): Promise<Services> {
  const { key, cert } = await certificate();
  writeFileSync(join(folder, 'key.pem'), key);
  writeFileSync(join(folder, 'cert.pem'), cert);
  const plain = await start('plain', { node, folder, command: { script: app, args: [] }, processes: 1 });
  const started = [plain];
  try {
    const control = join(folder, 'control.sock');
    const args = ['serve', app, '--workers', `${workers}`, '--control-socket', control, ...flags[mode]];
    const agent = await start('agent', {
      node,
      folder,
      command: mode === 'plain' ? { script: app, args: [] } : { script: main, args },
      processes: mode === 'plain' ? 1 : workers,
    });
    started.push(agent);
    if (refuses) await agent.daemon.waitForLine(/the self-test of moves failed/, patience);
    else if (flags[mode].includes('on')) await untilMoved(agent.target);
    const cookies = mode === 'sticky-cookie' ? await cookiesOf(agent.target) : [];
    return { plain, agent: { ...agent, control }, cookies };
  } catch (error) {
    await Promise.all(started.map((service) => service.stop()));
    throw error;
  }
}

interface Start {
  readonly node: string;
  readonly folder: string;
  readonly command: { readonly script: string; readonly args: readonly string[] };
  /** How many of them listen. */
  readonly processes: number;
}

async function start(name: string, { node, folder, command, processes }: Start): Promise<Service> {
  const ports = Object.fromEntries(
    await Promise.all(serverNames.map(async (server) => [server, await freePort('127.0.0.1')])),
  ) as Record<ServerName, number>;
  const unix = join(folder, `${name}.sock`);
  const file = join(folder, `${name}.log`);
  const env = {
    PORT: String(ports.patient),
    FUZZ_PORTS: JSON.stringify(ports),
    FUZZ_UNIX: unix,
    FUZZ_LOG: file,
    FUZZ_CERTIFICATE: folder,
    ROM_AGENT_STATE_DIR: mkdtempSync(join(folder, 'state-')),
  };
  writeFileSync(file, '');
  reaper ??= startReaper();
  const daemon = startDaemon({ node, ...command, cwd: folder, env });
  reaper.begun(daemon.pid);
  void daemon.exit.then(() => reaper?.ended(daemon.pid));
  const log = (): AppLog => readAppLog(file);
  const stop = async (): Promise<AppLog> => {
    daemon.kill('SIGTERM');
    await daemon.waitForExit(patience).finally(() => daemon.killGroup('SIGKILL'));
    return log();
  };
  const listens = (): boolean => log().pids.length >= processes;
  await waitFor(`${name} to listen`, () => listens() || daemon.status !== null, { timeout: patience });
  if (!listens()) throw new Error(`${name} does not listen:\n${daemon.output()}`);
  return { target: { ports, unix }, daemon, log, stop };
}

/** Of no play: see executed.ts. */
const token = `${placeholders.play}r0`;
const headers = { 'X-Token': token };

const ways = workers * (workers - 1);
/** One connection on which there is always a next request, and time to move before it. */
const wanderer: Script = {
  name: 'a connection that wanders',
  server: 'patient',
  steps: [1, 2, 3, 4, 5, 6, 7, 8].flatMap((answers): Step[] => [
    { send: `GET /echo HTTP/1.1\r\nHost: x\r\nX-Token: ${token}\r\n\r\n` },
    { answers },
    { pause: 100 },
    ...(answers === 8 ? [{ end: true } as const] : []),
  ]),
  requests: Array.from({ length: 8 }, () => ({ token, method: 'GET' })),
};

/** Asks until connections have moved from every worker to every other: workers test themselves before they move any. */
async function untilMoved(target: Target): Promise<void> {
  const seen = new Set<string>();
  const look = async (): Promise<number> => {
    const { bytes } = await play(wanderer, target);
    const pids = cutAnswers(bytes, wanderer.requests).answers.map(({ pid }) => pid);
    for (const [place, pid] of pids.entries())
      if (place > 0 && pid !== pids[place - 1]) seen.add(`${pids[place - 1]} to ${pid}`);
    return seen.size;
  };
  await waitFor('connections to move', look, { timeout: patience, until: (count) => count >= ways });
}

/** Asks until every worker has answered. */
async function cookiesOf({ ports }: Target): Promise<string[]> {
  const found = new Set<string>();
  const look = async (): Promise<number> => {
    const answer = await ask({ port: ports.patient, path: '/echo', headers, timeout: patience });
    const value = /^rom-agent=([\d.]+)/.exec(answer.headers['set-cookie']?.[0] ?? '')?.[1];
    if (value !== undefined) found.add(value);
    return found.size;
  };
  await waitFor('a cookie of each worker', look, { timeout: patience, until: (count) => count >= workers });
  return [...found].sort();
}
