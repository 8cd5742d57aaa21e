import { inUnit } from '../changes.js';
import type { Account, Facts, Place, SecretFile, Stats } from '../facts.js';
import { type Check, type Outcome, ok, problem, unknown, warning } from '../finding.js';
import type { ServiceUnit } from '../service-unit.js';
import { isHidden } from './service.js';

/** Whether the service's user can read and write what it has to, and others cannot. */
export const fileChecks: readonly Check[] = [access, space, secrets];

function access(facts: Facts): readonly Outcome[] {
  const unit = facts.systemd?.unit ?? null;
  return facts.places.flatMap((place) => {
    // One that does not exist is told of with the configuration.
    if (place.what === 'app' && place.steps[0]?.stats == null) return [];
    if (place.access !== null) return [ofSelf(place, place.access)];
    return unit === null ? [] : [ofService(place, { unit, account: facts.account })];
  });
}

function ofSelf(place: Place, may: boolean): Outcome {
  const { what, path, need } = place;
  const isThere = place.steps[0]?.stats != null;
  const deed = need === 'read' ? 'read' : 'written';
  if (may) return ok(what, `${path} can be ${isThere ? deed : 'made'}`);
  const change =
    need === 'read' ? `let its user read ${path}` : `another ${what}, or sudo install -d -o "$USER" ${path}`;
  return problem(what, `${path} cannot be ${isThere ? deed : 'made'} by this user`, change);
}

function ofService(place: Place, { unit, account }: { unit: ServiceUnit; account: Account }): Outcome {
  const { what, path, need } = place;
  const own = [...unit.stateDirectories, ...unit.runtimeDirectories, ...unit.otherDirectories];
  if (own.some((directory) => isWithin(path, directory)))
    return ok(what, `${path}, which systemd makes for it`);
  if (isHidden(path, unit)) {
    const found = `${path} is out of the service's sight (ProtectHome=, PrivateTmp=)`;
    return problem(
      what,
      found,
      `move it to /srv or /opt, or ${inUnit(unit.name, `BindReadOnlyPaths=${path}`)}`,
    );
  }
  const isOpen = unit.readWritePaths.some((directory) => isWithin(path, directory));
  if (need === 'write' && unit.protectSystem === 'strict' && !isOpen) {
    const found = `${path} is read-only for the service (ProtectSystem=strict)`;
    return problem(
      what,
      found,
      `${inUnit(unit.name, `ReadWritePaths=${path}`)}; or a path in ${own[0] ?? '/var/lib'}`,
    );
  }
  return ofAccount(place, account);
}

function ofAccount(place: Place, account: Account): Outcome {
  const { what, path, need } = place;
  if (account.kind === 'unknown')
    return unknown(what, `there is no user ${account.name} here`, 'correct User=');
  const blocked = obstacle(place, account);
  const who = account.kind === 'dynamic' ? 'the user of the service' : account.name;
  if (blocked === null) return ok(what, `${path} can be ${need === 'read' ? 'read' : 'written'} by ${who}`);
  const letter = need === 'read' ? 'o+rX' : 'o+rwX';
  const owner =
    account.kind === 'known' ? `sudo chown ${account.name} ${blocked}` : `sudo chmod ${letter} ${blocked}`;
  return problem(
    what,
    `${path} cannot be ${need === 'read' ? 'read' : 'written'} by ${who}: ${blocked}`,
    owner,
  );
}

/** The path that does not let the account through; null where all do. Access lists are not looked at. */
function obstacle({ steps, need }: Place, account: Account): string | null {
  const [target, ...ancestors] = steps;
  const there = steps.find(({ stats }) => stats !== null);
  if (target === undefined || there === undefined) return '/';
  const shut = ancestors.findLast(({ stats }) => stats !== null && !permits(stats, 0o1, account));
  if (shut !== undefined) return shut.path;
  const bits = need === 'read' && there === target ? 0o4 : 0o3;
  return there.stats === null || permits(there.stats, bits, account) ? null : there.path;
}

/** path_resolution(7): of owner, group and others the first that applies counts alone. */
function permits({ uid, gid, mode }: Stats, bits: number, account: Account): boolean {
  const has = (shift: number) => ((mode >> shift) & bits) === bits;
  if (account.kind !== 'known') return has(0);
  if (account.uid === 0) return true;
  if (account.uid === uid) return has(6);
  return has(account.gids.includes(gid) ? 3 : 0);
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

const mebibyte = 2 ** 20;
/** Below it, there may be no room for the next line or record. */
const nothing = 16 * mebibyte;
/** A day's log of a busy service. */
const dayOfLogs = 512 * mebibyte;

function space({ places, settings: { config } }: Facts): readonly Outcome[] {
  return places.flatMap(({ what, path, space }) => {
    if (what !== 'state_dir' && what !== 'log.dir') return [];
    const check = `space of ${what}`;
    if (space === null) return [unknown(check, `${path}: the file system does not say`)];
    const free = `${Math.round(space.bytes / mebibyte)} MiB are free where ${path} is`;
    const change = `make room there, or another ${what}`;
    if (space.bytes < nothing || space.inodes === 0)
      return [problem(check, space.inodes === 0 ? `no inodes are free where ${path} is` : free, change)];
    // A heap snapshot is about as large as the heap, and the heap as its limit at worst.
    const snapshot = config.maxOldSpaceSize * mebibyte;
    const wanted = what === 'log.dir' ? dayOfLogs : snapshot;
    const purpose = what === 'log.dir' ? 'a day of logs' : 'a heap snapshot';
    if (space.bytes >= wanted) return [ok(check, free)];
    return [warning(check, `${free}: may be too little for ${purpose}`, change)];
  });
}

function secrets({ secrets, account }: Facts): readonly Outcome[] {
  return secrets.map((file) => secrecy(file, account));
}

function secrecy({ path, stats, names }: SecretFile, account: Account): Outcome {
  const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
  if ((stats.mode & 0o002) !== 0)
    return problem(
      path,
      `anybody may write it (${mode}), and so decide what the service runs`,
      `sudo chmod o-w ${path}`,
    );
  if (names.length === 0 || (stats.mode & 0o004) === 0) return ok(path, `mode ${mode}`);
  const found = `anybody may read it (${mode}), and it has ${names.join(', ')}`;
  // A user that systemd makes is one of the others, so that the file cannot be closed to them.
  const dynamic = `put them into /etc/default/rom-agent with mode 0600, which systemd reads as root`;
  const isRead = account.kind === 'dynamic' && path.endsWith('/.env');
  return warning(path, found, isRead ? dynamic : `sudo chmod o-r ${path}`);
}
