import { exitCodes, RomAgentError } from '../errors.js';

/** The service managers that `install` writes services for, by the platform that has them. */
export type ServicePlatform = 'linux' | 'darwin';

/** Where everything of one service is. Absolute paths. */
export interface ServiceNames {
  readonly name: string;
  /** `rom-agent@shop.service`, or under launchd the label. */
  readonly unit: string;
  /** What journalctl and systemctl take, or the label. */
  readonly short: string;
  readonly socketUnit: string;
  readonly config: string;
  /** Variables of the service, read by systemd as root; under launchd they stand in the plist. */
  readonly environment: string;
  readonly dropIn: string;
  readonly socketDropIn: string;
  /** Of the LaunchDaemon. */
  readonly plist: string;
  readonly newsyslog: string;
  readonly runtime: string;
  readonly state: string;
  readonly logs: string;
  readonly controlSocket: string;
}

/** The service of the plain unit, `rom-agent.service`, and of the plain label. */
export const plainName = 'rom-agent';
export const configDirectory = '/etc/rom-agent';
/** Where an administrator's units are: systemd.unit(5). */
export const unitDirectory = '/etc/systemd/system';
export const plistDirectory = '/Library/LaunchDaemons';
const label = 'org.rom-agent';

const pattern = /^[a-z0-9][a-z0-9._-]{0,40}$/;
export const nameExpected =
  'at most 41 of a to z, 0 to 9, ".", "_" and "-", with a letter or a digit at the beginning';

export function isName(name: string): boolean {
  return pattern.test(name);
}

/** @throws RomAgentError exit 64 where it can be no name of a service */
export function checkName(name: string): string {
  if (isName(name)) return name;
  throw new RomAgentError(
    `the service's name ${JSON.stringify(name)} is not right: expected ${nameExpected}`,
    { exitCode: exitCodes.usage },
  );
}

export function namesOf(name: string, platform: ServicePlatform): ServiceNames {
  const isPlain = name === plainName;
  const instance = isPlain ? plainName : `${plainName}@${name}`;
  const job = isPlain ? plainName : `${plainName}.${name}`;
  const ownLabel = isPlain ? label : `${label}.${name}`;
  const isMac = platform === 'darwin';
  const runtime = isMac ? `/var/db/${job}/run` : `/run/${instance}`;
  return {
    name,
    unit: isMac ? ownLabel : `${instance}.service`,
    short: isMac ? ownLabel : instance,
    socketUnit: `${instance}.socket`,
    config: `${configDirectory}/${name}.toml`,
    environment: `/etc/default/${instance}`,
    dropIn: `${unitDirectory}/${instance}.service.d/10-install.conf`,
    socketDropIn: `${unitDirectory}/${instance}.socket.d/10-install.conf`,
    plist: `${plistDirectory}/${ownLabel}.plist`,
    newsyslog: `/etc/newsyslog.d/${job}.conf`,
    runtime,
    state: isMac ? `/var/db/${job}` : `/var/lib/${instance}`,
    logs: `/var/log/${isMac ? job : instance}`,
    controlSocket: `${runtime}/control.sock`,
  };
}

/** The timer that reloads a service at its times, and what it starts: systemd.timer(5). `import` writes them. */
export function reloadUnits(name: string): { readonly timer: string; readonly service: string } {
  return { timer: `rom-agent-reload-${name}.timer`, service: `rom-agent-reload-${name}.service` };
}

/** The name in that of a unit, such as `rom-agent@shop.service`; null where it is no unit of ours. */
export function nameOfUnit(unit: string): string | null {
  if (unit === `${plainName}.service`) return plainName;
  const name = /^rom-agent@(.+)\.service$/.exec(unit)?.[1];
  return name !== undefined && isName(name) ? name : null;
}

/** The name in that of a plist, such as `org.rom-agent.shop.plist`. */
export function nameOfPlist(file: string): string | null {
  if (file === `${label}.plist`) return plainName;
  const name = /^org\.rom-agent\.(.+)\.plist$/.exec(file)?.[1];
  return name !== undefined && isName(name) ? name : null;
}
