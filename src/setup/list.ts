import type { LoadInput } from '../config/load.js';
import { exitCodes, type RomAgentError } from '../errors.js';
import type { ClusterStats } from '../protocol/stats.js';
import { type FindSeam, findServices, type Loaded, loadUnits, type Service, settingsOf } from './find.js';
import { namesOf, plainName } from './names.js';

/** A service as `list` shows it. */
export interface Listed {
  readonly name: string;
  readonly unit: string;
  /** `serving`, `starting`, `stopping`, `failed`, `stopped`, `disabled`; `running` where the daemon cannot be asked. */
  readonly state: string;
  /** TCP ports, or the path of a unix socket; none of an app that is no server. */
  readonly listens: readonly string[];
  readonly workers: { readonly ready: number; readonly wanted: number } | null;
  /** Bytes: of the cgroup, or of master and workers. */
  readonly memoryBytes: number | null;
  /** Of the service, by the service manager; and of its workers, by the master. */
  readonly restarts: { readonly service: number | null; readonly workers: number | null };
  /** s */
  readonly uptimeSeconds: number | null;
  readonly app: string | null;
  /** Whether it starts with the machine; null: unknown. */
  readonly enabled: boolean | null;
  readonly controlSocket: string;
  /** Why the daemon does not say more: `no permission`, `no answer`; null: it did, or it does not run. */
  readonly silent: string | null;
}

export interface ListSeam extends FindSeam {
  /** @throws RomAgentError where nobody answers, or where this user may not ask */
  readonly status: (controlSocket: string) => Promise<ClusterStats>;
  /** As systemd counts, from the start of the machine, ms. */
  readonly monotonic: () => number;
}

/** All services of this host, running or not. */
export async function listServices(seam: ListSeam, own: LoadInput): Promise<readonly Listed[]> {
  const services = findServices(seam).filter((service) => !isUnused(service, seam));
  const units = await loadUnits(services, seam);
  const known = seam.platform === 'linux' ? services.filter(({ unit }) => units.has(unit)) : services;
  return Promise.all(
    known.map((service) => lookAt(service, { loaded: units.get(service.unit) ?? null, seam, own })),
  );
}

/** A package brings the plain unit with a configuration: whoever never started it has no such service. */
function isUnused({ name, isInUse }: Service, seam: ListSeam): boolean {
  return seam.platform === 'linux' && name === plainName && !isInUse && seam.stat(plainState) === null;
}

const plainState = namesOf(plainName, 'linux').state;

interface Looking {
  readonly loaded: Loaded | null;
  readonly seam: ListSeam;
  readonly own: LoadInput;
}

async function lookAt(service: Service, { loaded, seam, own }: Looking): Promise<Listed> {
  const { config } = await settingsOf(service, { loaded, own });
  const runs = loaded === null || loaded.service.mainPid !== 0;
  const answer = runs ? await ask(config.controlSocket, seam) : null;
  const stats = answer !== null && 'stats' in answer ? answer.stats : null;
  const unit = loaded?.service ?? null;
  const property = (name: string) => loaded?.properties.get(name)?.[0] ?? '';
  const memory = Number(property('MemoryCurrent'));
  const since = Number(property('ActiveEnterTimestampMonotonic')) / 1000;
  return {
    name: service.name,
    unit: service.unit,
    state: stateIn(loaded, stats, answer),
    listens:
      config.kind === 'process' ? [] : [config.host?.startsWith('/') ? config.host : String(config.port)],
    workers: stats === null ? null : { ready: stats.ready, wanted: stats.wanted },
    memoryBytes: runs && memory > 0 && Number.isSafeInteger(memory) ? memory : memoryOf(stats),
    restarts: { service: unit?.restarts ?? null, workers: stats?.restarts ?? null },
    uptimeSeconds:
      stats?.master.uptimeSeconds ??
      (runs && since > 0 ? Math.round((seam.monotonic() - since) / 1000) : null),
    app: config.app,
    enabled: unit === null ? null : unit.unitFileState === 'enabled',
    controlSocket: config.controlSocket,
    silent: answer !== null && 'silent' in answer ? answer.silent : null,
  };
}

type Answer = { readonly stats: ClusterStats } | { readonly silent: string };

async function ask(controlSocket: string, { status }: ListSeam): Promise<Answer> {
  try {
    return { stats: await status(controlSocket) };
  } catch (error) {
    const { exitCode } = error as RomAgentError;
    return { silent: exitCode === exitCodes.noPermission ? 'no permission' : 'no answer' };
  }
}

function stateIn(loaded: Loaded | null, stats: ClusterStats | null, answer: Answer | null): string {
  if (stats !== null) return stats.status;
  if (loaded === null)
    return answer !== null && 'silent' in answer && answer.silent === 'no permission' ? 'running' : 'stopped';
  const { activeState, subState, unitFileState } = loaded.service;
  if (activeState === 'active') return 'running';
  if (activeState === 'activating') return subState === 'auto-restart' ? 'restarting' : 'starting';
  if (activeState === 'deactivating') return 'stopping';
  if (activeState === 'failed') return 'failed';
  return unitFileState === 'enabled' ? 'stopped' : 'disabled';
}

function memoryOf(stats: ClusterStats | null): number | null {
  if (stats === null) return null;
  return stats.workers.reduce((sum, { rssBytes }) => sum + rssBytes, stats.master.rssBytes);
}
