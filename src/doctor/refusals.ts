import { refusalsIn, type Told } from '../sandbox/log.js';
import { groupNameIn, type Sandbox } from '../sandbox/remedies.js';
import type { DoctorSeam } from './facts.js';
import type { ServiceUnit } from './units.js';

/** What the sandbox has refused since the last start; null where the journal cannot be read. */
export async function refusalsOf(seam: DoctorSeam, unit: ServiceUnit): Promise<readonly Told[] | null> {
  if (unit.invocation === '') return [];
  const argv = ['--quiet', '--no-pager', '--output=json', '--output-fields=MESSAGE', '--lines=2000'];
  // Of this start alone: what a drop-in has mended since is of no concern.
  const text = await seam.run('journalctl', [...argv, `_SYSTEMD_INVOCATION_ID=${unit.invocation}`]);
  const messages = (text ?? '').split('\n').flatMap(messageIn);
  if (messages.length === 0 && unit.statusText === '') return text === null ? null : [];
  const told = refusalsIn([...messages, unit.statusText], unit.name, sandboxOf(seam, unit));
  return messages.length === 0 && told.length === 0 ? null : told;
}

/** Bytes that are no text come as numbers: journalctl(1), --output. */
function messageIn(line: string): readonly string[] {
  if (line === '') return [];
  const { MESSAGE } = JSON.parse(line) as { MESSAGE?: unknown };
  return typeof MESSAGE === 'string' ? [MESSAGE] : [];
}

/** As seen from outside of it. */
function sandboxOf(seam: DoctorSeam, unit: ServiceUnit): Sandbox {
  const [state = '/var/lib/rom-agent'] = unit.stateDirectories;
  return {
    isDynamic: unit.dynamicUser,
    state: state.replace(/^\/var\/lib\//, ''),
    hidesHomes: /^(?:yes|tmpfs)$/.test(unit.protectHome),
    gidOf: (path) => seam.stat(path)?.gid ?? null,
    groupName: (gid) => groupNameIn(seam, gid),
    // Whose file it was when it was refused cannot be told.
    owns: () => false,
    isReadOnly: () => unit.protectSystem === 'strict',
    isOutside: (path) => seam.stat(path) !== null,
  };
}
