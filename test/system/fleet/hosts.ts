import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mainPath, plainEnvironment, signalPid } from '../../support/process.js';
import { noRedis } from '../../support/redis.js';
import { waitFor } from '../../support/wait.js';

/** Why hosts cannot be network namespaces here; false: they can. */
export const noHosts: string | false =
  noRedis || (canHaveNamespaces() ? false : 'network namespaces need root and iproute2');

/** The address of Redis and nginx, in the namespace of the test. */
export const middle = '10.77.0.1';

export interface Host {
  readonly name: string;
  readonly address: string;
  readonly directory: string;
  /** Starts its daemon, which serves when it resolves. */
  start(): Promise<void>;
  /** kill -9 of every process of the daemon, as if the machine had lost its power. */
  crash(): Promise<void>;
  /** To every process of the daemon. */
  signal(signal: NodeJS.Signals): void;
  /** Takes it off the network, and back. */
  link(state: 'up' | 'down'): void;
  /** Runs rom-agent there. */
  cli(...args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }>;
  log(): string;
}

export interface Network {
  host(name: string, options: HostOptions): Host;
}

export interface HostOptions {
  /** Of its configuration file. */
  readonly toml: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A bridge with a namespace for each host; all of it goes with the test. */
export function createNetwork(t: { after(hook: () => void | Promise<void>): void }): Network {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-fleet-'));
  const tag = `${process.pid % 10_000}`;
  const bridge = `rb${tag}`;
  ip('link', 'add', bridge, 'type', 'bridge');
  ip('addr', 'add', `${middle}/24`, 'dev', bridge);
  ip('link', 'set', bridge, 'up');
  let count = 0;
  const ends: (() => void)[] = [];
  t.after(() => {
    for (const end of ends) end();
    spawnSync('ip', ['link', 'del', bridge]);
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    host: (name, { toml, env = {} }) => {
      const number = ++count;
      const [space, outer, inner] = [`rom-${tag}-${number}`, `rv${tag}${number}`, `ri${tag}${number}`];
      const address = `10.77.0.${10 + number}`;
      ip('netns', 'add', space);
      ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', space);
      ip('link', 'set', outer, 'master', bridge, 'up');
      for (const args of [
        ['addr', 'add', `${address}/24`, 'dev', inner],
        ['link', 'set', inner, 'up'],
        ['link', 'set', 'lo', 'up'],
      ]) {
        ip('-n', space, ...args);
      }
      const home = join(directory, name);
      mkdirSync(home);
      const [config, log] = [join(home, 'rom-agent.toml'), join(home, 'log')];
      writeFileSync(config, `host = "${address}"\nport = 3000\n${toml}`);
      writeFileSync(log, '');
      let leader = 0;
      const group = (signal: NodeJS.Signals): void => {
        if (leader !== 0) signalPid(-leader, signal);
      };
      ends.push(() => {
        group('SIGKILL');
        spawnSync('ip', ['netns', 'del', space]);
      });
      const run = ['netns', 'exec', space, process.execPath, mainPath];
      const environment = {
        ...plainEnvironment(),
        ...env,
        ROM_AGENT_FLEET_HOST: name,
        ROM_AGENT_CONTROL_SOCKET: join(home, 'control.sock'),
        ROM_AGENT_STATE_DIR: join(home, 'state'),
        ROM_AGENT_CONFIG: config,
      };
      return {
        ...{ name, address, directory: home },
        start: async () => {
          const before = read(log).length;
          const child = spawn(
            'sh',
            ['-c', 'exec "$@" >>"$LOG" 2>&1', 'sh', 'ip', ...run, 'serve', '--config', config],
            {
              env: { ...environment, LOG: log, PATH: `${process.env.PATH}:/usr/sbin` },
              stdio: 'ignore',
              detached: true,
              cwd: home,
            },
          );
          leader = child.pid ?? 0;
          await waitFor(`${name} to serve`, () => /serving with/.test(read(log).slice(before)));
        },
        crash: async () => {
          group('SIGKILL');
          await waitFor(`${name} to be gone`, () => leader === 0 || !signalPid(-leader, 0 as never));
          leader = 0;
        },
        signal: group,
        link: (state) => ip('link', 'set', outer, state),
        cli: (...args) =>
          new Promise((resolve) => {
            const child = spawn('ip', [...run, ...args], {
              env: { ...environment, PATH: `${process.env.PATH}:/usr/sbin` },
              stdio: ['ignore', 'pipe', 'pipe'],
              cwd: home,
            });
            let output = '';
            for (const stream of [child.stdout, child.stderr]) {
              stream.on('data', (data) => {
                output += String(data);
              });
            }
            child.once('close', (code) => resolve({ code, output }));
          }),
        log: () => read(log),
      };
    },
  };
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function read(path: string): string {
  return readFileSync(path, 'utf8');
}

function canHaveNamespaces(): boolean {
  if (process.getuid?.() !== 0) return false;
  const name = `rom-probe-${process.pid}`;
  const made = spawnSync('ip', ['netns', 'add', name]).status === 0;
  if (made) spawnSync('ip', ['netns', 'del', name]);
  return made;
}
