import type { SystemdFacts } from '../facts.js';
import type { DoctorSeam } from '../seam.js';
import {
  isLoaded,
  parseProperties,
  parseService,
  type ServiceUnit,
  serviceProperties,
  watchdogInFiles,
} from '../service-unit.js';
import { parseSocket, socketProperties } from '../socket-unit.js';

/** null where systemd does not run this machine: sd_booted(3). */
export async function systemdFacts(seam: DoctorSeam, name: string): Promise<SystemdFacts | null> {
  if (seam.platform !== 'linux' || seam.stat('/run/systemd/system') === null) return null;
  const socketName = name.replace(/\.service$/, '.socket');
  const [version, service, socket] = await Promise.all([
    seam.run('systemctl', ['--version']),
    show(seam, name, serviceProperties),
    show(seam, socketName, socketProperties),
  ]);
  const unit = isLoaded(service) ? await withWatchdog(seam, parseService(name, service)) : null;
  return {
    version: Number(/^systemd (\d+)/.exec(version ?? '')?.[1]) || null,
    name,
    unit,
    socket: isLoaded(socket) ? parseSocket(socketName, socket) : null,
    missingPaths: (unit?.needed ?? []).filter(
      // What systemd makes for the service is there once it starts.
      ({ path }) => seam.stat(path) === null && !isMade(path, unit),
    ),
    missing: unit === null ? [] : filesOf(unit).filter((path) => seam.stat(path) === null),
  };
}

async function withWatchdog(seam: DoctorSeam, unit: ServiceUnit): Promise<ServiceUnit> {
  if (unit.mainPid !== 0) return unit;
  const files = await seam.run('systemctl', ['cat', unit.name]);
  return { ...unit, watchdog: files === null ? null : watchdogInFiles(files) };
}

async function show(seam: DoctorSeam, unit: string, properties: readonly string[]) {
  return parseProperties((await seam.run('systemctl', ['show', unit, '-p', properties.join(',')])) ?? '');
}

/** The program and, for node, its script. */
export function filesOf({ execStart }: ServiceUnit): readonly string[] {
  return execStart.flatMap((argv) => argv.slice(0, 2)).filter((word) => word.startsWith('/'));
}

function isMade(path: string, unit: ServiceUnit | null): boolean {
  const made = [
    ...(unit?.stateDirectories ?? []),
    ...(unit?.runtimeDirectories ?? []),
    ...(unit?.otherDirectories ?? []),
  ];
  return made.some((directory) => path === directory || path.startsWith(`${directory}/`));
}
