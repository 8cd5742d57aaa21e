import { refusal } from '../../core/slots.js';
import type { State } from '../../core/state.js';
import type { LazyLog } from '../../logging/lazy-log.js';
import type { ServiceManager } from '../../service-manager/service-manager.js';
import type { Config } from '../../settings/config.js';
import { isWatched } from '../watch-mode.js';

export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly pid: number;
  readonly env: NodeJS.ProcessEnv;
}

const instead = 'systemctl restart replaces the daemon, and ends what is open';

/** Why the place of this master cannot be taken by another, whenever it is asked; null: it can. */
export function whyNever(
  { kind }: Pick<ServiceManager, 'kind'>,
  { dispatch }: Pick<Config, 'dispatch'>,
  { platform, pid, env }: Surroundings,
): string | null {
  if (kind !== 'systemd' || platform !== 'linux') {
    const who = { launchd: 'launchd', pm2: 'PM2', none: 'no service manager', systemd: 'systemd' }[kind];
    return `${who} started this process, and only systemd can be told of another main process; expected a service of systemd on Linux: restart it instead`;
  }
  if (pid === 1)
    return 'this is process 1, whose end is that of the container: start another container instead';
  const main = env.SYSTEMD_EXEC_PID;
  if (main !== String(pid))
    return `systemd started process ${main ?? 'unknown'} and takes MAINPID= from that process alone, not from this one (${pid}); expected ExecStart= to run rom-agent itself: ${instead}`;
  if (isWatched()) return 'node --watch runs this process: stop it, and start the service';
  if (dispatch !== 'shared')
    return `dispatch is "${dispatch}"; expected "shared", whose sockets another process can take over: ${instead}`;
  return null;
}

/** Why it cannot be now. */
export function whyNotNow(
  state: State,
  { jobs, deploy }: { readonly jobs: readonly string[]; readonly deploy: string | null },
): string | null {
  const why = refusal(state);
  if (why !== null) return why;
  if (deploy !== null) return `the release ${deploy} is being deployed; try again once it is`;
  const [job] = jobs;
  return job === undefined ? null : `the job ${job} runs; try again once it is over`;
}

export type UpgradeLog = Pick<LazyLog, 'info' | 'warn'>;
