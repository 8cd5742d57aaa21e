import { dirname } from 'node:path';
import type { Account, Facts, Place, SecretFile, Stats } from '../facts.js';
import { type Check, inUnit, type Outcome, ok, problem, unknown, warning } from '../finding.js';
import type { ServiceUnit } from '../units.js';
import { isHidden } from './unit.js';

/** Whether the service's user can read and write what it has to. */
export const accessChecks: readonly Check[] = [access];

/** Whether there is room for what the service writes. */
export const spaceChecks: readonly Check[] = [space];

/** Whether others can read the secrets of the service, or write what decides about it. */
export const secretChecks: readonly Check[] = [secrets];

/** path_resolution(7): of owner, group and others the first that applies counts alone. */
export function permits({ uid, gid, mode }: Stats, bits: number, account: Account): boolean {
  const has = (shift: number) => ((mode >> shift) & bits) === bits;
  if (account.kind !== 'known') return has(0);
  if (account.uid === 0) return true;
  if (account.uid === uid) return has(6);
  return has(account.gids.includes(gid) ? 3 : 0);
}

/** What the service serves without: it says so in its log, and goes on. */
const dispensable: ReadonlySet<string> = new Set(['state_dir', 'control_socket']);

function access({ places, systemd, account }: Facts): readonly Outcome[] {
  const unit = systemd?.unit ?? null;
  return places.flatMap((place) => {
    // One that does not exist is told of with the configuration.
    if (place.need === 'read' && !exists(place)) return [];
    if (place.access !== null) return [ofSelf(place, place.access)];
    return unit === null ? [] : [ofService(place, { unit, account })];
  });
}

function exists({ steps }: Place): boolean {
  return steps[0]?.stats != null;
}

/** A place that does not let the service in. */
function shut({ what }: Place, found: string, change: string): Outcome {
  return (dispensable.has(what) ? warning : problem)(what, found, change);
}

function deedOf(place: Place): string {
  if (place.need === 'read') return 'read';
  return exists(place) ? 'written' : 'created';
}

function ofSelf(place: Place, may: boolean): Outcome {
  const { what, path, need } = place;
  if (may) return ok(what, `${path} can be ${deedOf(place)}`);
  const change =
    need === 'read'
      ? 'let this user read it'
      : `choose another ${what}, or sudo install -d -o "$USER" ${path}`;
  return shut(place, `${path} cannot be ${deedOf(place)} by this user`, change);
}

function ofService(place: Place, { unit, account }: { unit: ServiceUnit; account: Account }): Outcome {
  const { what, path, need } = place;
  const own = [...unit.stateDirectories, ...unit.runtimeDirectories, ...unit.otherDirectories];
  if (own.some((directory) => isWithin(path, directory))) return ok(what, `${path}, created by systemd`);
  if (isHidden(path, unit)) {
    const found = `${path} is not visible to the service (ProtectHome=, PrivateTmp=)`;
    const bind = need === 'read' ? `; or ${inUnit(unit.name, `BindReadOnlyPaths=${dirname(path)}`)}` : '';
    return shut(place, found, `a path in /srv or /opt${bind}`);
  }
  const isOpen = unit.readWritePaths.some((directory) => isWithin(path, directory));
  if (need === 'write' && unit.protectSystem === 'strict' && !isOpen) {
    const found = `${path} is read-only for the service (ProtectSystem=strict)`;
    return shut(
      place,
      found,
      `a path in ${own[0] ?? '/var/lib'}; or ${inUnit(unit.name, `ReadWritePaths=${path}`)}`,
    );
  }
  return ofAccount(place, account);
}

function ofAccount(place: Place, account: Account): Outcome {
  const { what, path } = place;
  if (account.kind === 'unknown')
    return unknown(what, `the user ${account.name} does not exist`, 'correct User=');
  const blocked = obstacle(place, account);
  const who = account.kind === 'dynamic' ? 'the user of the service' : account.name;
  if (blocked === null) return ok(what, `${path} can be ${deedOf(place)} by ${who}`);
  const found = `${path} cannot be ${deedOf(place)} by ${who}`;
  return shut(
    place,
    blocked === path ? found : `${found}: no permission for ${blocked}`,
    remedy(place, account, blocked),
  );
}

function remedy(place: Place, account: Account, blocked: string): string {
  const { path, need } = place;
  if (need === 'read' && blocked === place.steps[0]?.path) return `sudo chmod o+r ${path}`;
  if (need === 'read') return `a path in /srv or /opt; or sudo chmod o+x ${blocked}`;
  if (account.kind === 'dynamic' && account.directories !== undefined && account.directories.length > 0)
    return `a path in ${account.directories.join(' or ')}`;
  if (account.kind !== 'known') return 'a path that StateDirectory= of the unit makes';
  return `sudo install -d -o ${account.name} ${path}`;
}

/** The path that does not let the account through; null where all do. Access lists are not looked at. */
function obstacle({ steps, need }: Place, account: Account): string | null {
  const [target, ...ancestors] = steps;
  const there = steps.find(({ stats }) => stats !== null);
  if (target === undefined || there === undefined) return '/';
  const closed = ancestors.findLast(({ stats }) => stats !== null && !permits(stats, 0o1, account));
  if (closed !== undefined) return closed.path;
  const bits = need === 'read' && there === target ? 0o4 : 0o3;
  return there.stats === null || permits(there.stats, bits, account) ? null : there.path;
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

const mebibyte = 2 ** 20;
/** Below it there may be no room for the next line or record. */
const nothing = 16 * mebibyte;
/** A day's log of a busy service. */
const dayOfLogs = 512 * mebibyte;

function space({ places, settings: { config } }: Facts): readonly Outcome[] {
  // A heap snapshot is about as large as the heap, which at worst is as large as its limit.
  const wanted = { state_dir: config.maxOldSpaceSize * mebibyte, 'log.dir': dayOfLogs };
  return places.flatMap((place) => {
    const { what } = place;
    return what === 'state_dir' || what === 'log.dir' ? [ofPlace(place, wanted[what])] : [];
  });
}

function ofPlace({ what, path, space }: Place, wanted: number): Outcome {
  const check = `space of ${what}`;
  if (space === null) return unknown(check, `${path}: the file system does not report its free space`);
  const free = `${Math.round(space.bytes / mebibyte)} MiB free at ${path}`;
  const change = `free some space, or choose another ${what}`;
  // Lines of a log are lost; a record of a reload is done without.
  const worse = what === 'log.dir' ? problem : warning;
  if (space.inodes === 0) return worse(check, `no free inodes at ${path}`, change);
  if (space.bytes < nothing) return worse(check, free, change);
  if (space.bytes >= wanted) return ok(check, free);
  const purpose = what === 'log.dir' ? 'a day of logs' : 'a heap snapshot';
  return warning(check, `${free}: may be too little for ${purpose}`, change);
}

function secrets({ secrets, account }: Facts): readonly Outcome[] {
  return secrets.map((file) => secrecy(file, account));
}

function secrecy({ path, stats, names }: SecretFile, account: Account): Outcome {
  const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
  if ((stats.mode & 0o002) !== 0) {
    const found = `anybody may write it (${mode}) and so change what the service runs`;
    return problem(path, found, `sudo chmod o-w ${path}`);
  }
  if (names.length === 0 || (stats.mode & 0o004) === 0) return ok(path, `mode ${mode}`);
  const found = `anybody may read it (${mode}), and it contains ${names.join(', ')}`;
  return warning(path, found, closing(path, account));
}

/** A user that systemd makes is one of the others, so that what it reads itself cannot be closed to them. */
function closing(path: string, account: Account): string {
  return account.kind === 'dynamic' && path.endsWith('/.env')
    ? `move them to ${account.environmentFile ?? 'a file in EnvironmentFile='} with mode 0600, which systemd reads as root`
    : `sudo chmod o-r ${path}`;
}
