import type { LoadInput } from '../config/load.js';
import { exitCodes, RomAgentError } from '../errors.js';
import {
  findServices,
  loadUnits,
  onlyService,
  type Service,
  serviceNamed,
  settingsOf,
} from '../setup/find.js';
import { namesOf } from '../setup/names.js';
import { systemSeam } from '../setup/system.js';
import { plain } from './output.js';

/** What a service is set to, and its control socket. */
export interface MeantService {
  readonly service: Service;
  readonly controlSocket: string;
  /** The file that launchd sends its standard output to; null: the journal has it. */
  readonly logFile: string | null;
  readonly stateDir: string;
  /** As loadConfig takes it: of the service, not of who asks. */
  readonly input: LoadInput;
}

/**
 * The service of this host that is named.
 *
 * @throws RomAgentError exit 64 where there is none
 */
export async function meantService(name: string, input: LoadInput): Promise<MeantService> {
  const seam = systemSeam(input.cwd);
  return settle(serviceNamed(name, findServices(seam)), input);
}

/**
 * The one service of this host that is in use; null where there is none.
 *
 * @throws RomAgentError exit 64 where there are several
 */
export async function theService(input: LoadInput): Promise<MeantService | null> {
  const only = onlyService(findServices(systemSeam(input.cwd)));
  return only === null ? null : settle(only, input);
}

/** The unit of a service, by its name, or of the only one; null where there is none. */
export function unitOf(name: string | undefined, cwd: string): string | null {
  const services = findServices(systemSeam(cwd));
  return name === undefined ? (onlyService(services)?.unit ?? null) : serviceNamed(name, services).unit;
}

/** @throws RomAgentError exit 64 where two flags name a service each */
export function checkFlags(flags: Readonly<Record<string, unknown>>, ...others: readonly string[]): void {
  const other = others.find((name) => flags[name] !== undefined);
  if (flags.name === undefined || other === undefined) return;
  const flag = `--${other.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new RomAgentError(`--name and ${flag} name a service each: expected one of them`, {
    exitCode: exitCodes.usage,
  });
}

async function settle(service: Service, own: LoadInput): Promise<MeantService> {
  const seam = systemSeam(own.cwd);
  const loaded = (await loadUnits([service], seam)).get(service.unit) ?? null;
  if (loaded === null && seam.platform === 'linux') {
    throw new RomAgentError(
      `systemd does not know ${plain(service.unit)}: run sudo systemctl daemon-reload, or look at systemctl status ${plain(service.unit)}`,
      { exitCode: exitCodes.addressInUse },
    );
  }
  // What was given on the command line is meant for the command, such as --json.
  const { config, input } = await settingsOf(service, { loaded, own: { ...own, flags: {} } });
  const logFile = seam.platform === 'darwin' ? `${namesOf(service.name, 'darwin').logs}/rom-agent.log` : null;
  return { service, input, logFile, controlSocket: config.controlSocket, stateDir: config.stateDir };
}
