import { attempt } from '../../config/cgroup.js';
import type { Config } from '../../config/config.js';
import { inspectConfig, type LoadInput } from '../../config/load.js';
import type { DaemonFacts, Facts, NodeFacts, PortFacts, SystemdFacts } from '../facts.js';
import type { DoctorSeam } from '../seam.js';
import type { ServiceUnit } from '../service-unit.js';
import { isInUse } from '../socket-unit.js';
import { descriptorFacts, machineFacts } from './machine.js';
import { accountOf, placesOf } from './places.js';
import { secretFiles } from './secrets.js';
import { systemdFacts } from './systemd.js';
import { inputOf } from './unit-input.js';

export interface GatherInput {
  readonly seam: DoctorSeam;
  /** What loadConfig takes, of the process that asks. */
  readonly input: LoadInput;
  /** The service to look at; null: none, whatever is installed. */
  readonly unitName: string | null;
}

export async function gather({ seam, input: own, unitName }: GatherInput): Promise<Facts> {
  const systemd = unitName === null ? null : await systemdFacts(seam, unitName);
  const unit = systemd?.unit ?? null;
  const machine = machineFacts(seam, unit);
  const { input, unreadable } = unit === null ? { input: own, unreadable: [] } : inputOf(unit, own);
  const { loaded, problems } = await inspectConfig({ ...input, machine });
  const { config } = loaded;
  const daemon = mayAsk(unit, config) ? await seam.ask(config.controlSocket) : notAsked;
  return {
    platform: seam.platform,
    now: seam.now,
    settings: {
      ...{ config, problems, unreadable },
      ...{ effective: loaded.effective, file: loaded.file, asUnit: unit?.name ?? null },
    },
    node: nodeFacts(seam, unit),
    systemd,
    launchd: seam.platform === 'darwin' ? launchdFacts(seam) : null,
    daemon,
    port: await portFacts(seam, { config, systemd }),
    machine,
    descriptors: descriptorFacts(seam, { pid: daemon.state === 'runs' ? daemon.pid : null, unit }),
    sysctl: (name) => attempt(seam.readFile, `/proc/sys/${name.replaceAll('.', '/')}`)?.trim() ?? null,
    account: await accountOf(seam, unit),
    places: placesOf(seam, config, unit === null),
    secrets: secretFiles(seam, filesWithSettings({ cwd: input.cwd, file: loaded.file, unit })),
  };
}

const notAsked: DaemonFacts = {
  state: 'unknown',
  why: 'not asked: where systemd holds the control socket, to connect would start the service',
};

/** A control socket that the daemon made itself is in the runtime directory, and gone with it. */
function mayAsk(unit: ServiceUnit | null, { controlSocket }: Config): boolean {
  if (unit === null || unit.mainPid !== 0) return true;
  return unit.runtimeDirectories.some((directory) => controlSocket.startsWith(`${directory}/`));
}

function nodeFacts(seam: DoctorSeam, unit: ServiceUnit | null): NodeFacts {
  const path = seam.realpath(seam.execPath);
  const unitPath = unit?.execStart[0]?.[0] ?? null;
  const isUnitsNode = unitPath === null || seam.realpath(unitPath) === path;
  return {
    version: seam.nodeVersion,
    path,
    unitPath,
    isUnitsNode,
    addon: whyNoAddon(seam),
    canReap: seam.canReap,
  };
}

function whyNoAddon({ loadAddon }: DoctorSeam): string | null {
  try {
    loadAddon();
    return null;
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
  }
}

const plist = '/Library/LaunchDaemons/org.rom-agent.plist';

function launchdFacts({ readFile }: DoctorSeam) {
  return { path: plist, text: attempt(readFile, plist) ?? null };
}

async function portFacts(
  seam: DoctorSeam,
  { config: { port, host }, systemd }: { config: Config; systemd: SystemdFacts | null },
): Promise<PortFacts> {
  const state = 'not looked at';
  if (host?.startsWith('/')) return { state, why: `a unix socket, ${host}` };
  if (port === 0) return { state, why: 'port 0 takes any free one' };
  const socket = systemd?.socket ?? null;
  if (socket !== null && isInUse(socket)) return { state, why: `${socket.name} holds what is listened on` };
  const { activeState = '' } = systemd?.unit ?? {};
  // To listen there for a moment could be in its way.
  if (/^(activating|deactivating)$/.test(activeState)) return { state, why: `the service is ${activeState}` };
  const code = await seam.tryListen({ port, host });
  if (code === null) return { state: 'free' };
  return code === 'EADDRINUSE'
    ? { state: 'taken', holder: seam.portHolder(port) }
    : { state: 'refused', code };
}

function filesWithSettings({
  cwd,
  file,
  unit,
}: {
  cwd: string;
  file: string | null;
  unit: ServiceUnit | null;
}): readonly string[] {
  const environment = unit?.environmentFiles.map(({ path }) => path) ?? [];
  return [`${cwd}/.env`, ...(file === null ? [] : [file]), ...environment];
}
