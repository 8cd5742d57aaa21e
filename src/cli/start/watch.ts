import { spawn } from 'node:child_process';
import { loadConfig } from '../../config/load.js';
import { systemInput } from '../../config/system.js';
import { exitCodes, RomAgentError } from '../../errors.js';
import { flagOf, type Key, variablesOf } from '../../settings/settings.js';

/** What `serve --watch` starts, and with which environment. */
export interface WatchPlan {
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

export interface WatchFacts {
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Whether the operator has given a value to the setting, anywhere. */
  readonly isGiven: (key: Key) => boolean;
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
}

/**
 * `rom-agent serve --watch`: node's own watch mode runs the daemon with one worker. Node starts it anew when a module
 * changes that the app has loaded, and after a failure waits for the next change. Resolves to the exit status.
 *
 * @throws RomAgentError (exit 64) under a service manager
 */
export async function watchCommand(flags: Readonly<Record<string, unknown>>): Promise<number> {
  const { argv, execArgv, env, execPath } = process;
  refuseUnderSystemd(env);
  const given = await givenKeys(flags);
  const plan = planWatch({
    argv,
    execArgv,
    env,
    isGiven: (key) => given.has(key),
    isTerminal: process.stdout.isTTY,
  });
  const child = spawn(execPath, plan.args, { stdio: 'inherit', env: plan.env });
  // Ctrl+C reaches all processes of the terminal; the daemon takes several SIGINTs within half a second for one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => void child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 0 : exitCodes.appFailed)));
  });
}

/**
 * `--watch` itself goes: the daemon that node starts is an ordinary one. What development changes comes by variables, since
 * Node prints the whole command line at each restart.
 */
export function planWatch({ argv, execArgv, env, isGiven, isTerminal }: WatchFacts): WatchPlan {
  const [, script = '', command = 'serve', ...rest] = argv;
  const at = rest.indexOf('--');
  const own = (at === -1 ? rest : rest.slice(0, at)).filter((word) => word !== '--watch');
  const appArguments = at === -1 ? [] : rest.slice(at);
  // Flags: apps read variables of these names too.
  const format = isTerminal || isGiven('log.format') ? [] : [`${flagOf('log.format')}=pretty`];
  const spares = isGiven('spares') ? [`${flagOf('spares')}=0`] : [];
  const ours = [`${flagOf('workers')}=1`, ...spares, ...format];
  const defaults = development.flatMap(([key, value]) =>
    isGiven(key)
      ? []
      : variablesOf(key)
          .slice(0, 1)
          .map((name) => [name, value] as const),
  );
  return {
    args: [
      ...execArgv,
      '--watch',
      '--watch-preserve-output',
      script,
      command,
      ...own,
      ...ours,
      ...appArguments,
    ],
    env: { ...env, ...Object.fromEntries(defaults) },
  };
}

/** A person waits for each restart, a debugger stops the event loop, and after a crash the next change is waited for. */
const development: readonly (readonly [Key, string])[] = [
  ['node_env', 'development'],
  ['drain_timeout', '2s'],
  ['linger', '0'],
  ['hang_timeout', '1h'],
  ['health.master_timeout', '0'],
  ['health.capture', 'off'],
  ['health.slow_limit', '0'],
  ['log.stats_interval', '0'],
  ['restart.intensity', '0'],
];

function refuseUnderSystemd({ NOTIFY_SOCKET }: NodeJS.ProcessEnv): void {
  if (!NOTIFY_SOCKET) return;
  throw new RomAgentError(
    '--watch is for development, on a terminal: a service of systemd is started without it',
    {
      exitCode: exitCodes.usage,
    },
  );
}

/** None where the configuration is wrong: the daemon says why, and node waits until one of its files changes. */
async function givenKeys(flags: Readonly<Record<string, unknown>>): Promise<ReadonlySet<Key>> {
  try {
    const { origins } = await loadConfig(systemInput(flags));
    const keys = Object.keys(origins) as Key[];
    return new Set(keys.filter((key) => !origins[key].startsWith('default')));
  } catch (error) {
    if (error instanceof RomAgentError) return new Set();
    throw error;
  }
}
