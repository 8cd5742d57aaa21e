import { dirname } from 'node:path';
import { isWithin, upwards } from '../config/package.js';
import { permits } from '../doctor/checks/files.js';
import type { Account } from '../doctor/facts.js';
import { exitCodes, RomAgentError } from '../errors.js';
import type { ServiceRequest } from './plan.js';
import type { HostSeam } from './world.js';

/** What the unit hides from a service: ProtectHome= and PrivateTmp= in systemd.exec(5). */
export function hiddenBy(path: string, { platform }: Pick<HostSeam, 'platform'>): 'home' | 'tmp' | null {
  if (platform !== 'linux') return null;
  if (['/home', '/root', '/run/user'].some((folder) => isWithin(path, folder))) return 'home';
  return ['/tmp', '/var/tmp'].some((folder) => isWithin(path, folder)) ? 'tmp' : null;
}

/**
 * As whom the service will run.
 *
 * @throws RomAgentError exit 64 where there is no such user or group
 */
export async function accountFor(
  { user, group }: Pick<ServiceRequest, 'user' | 'group'>,
  seam: HostSeam,
): Promise<Account> {
  const gid = group === null ? [] : [await gidOf(group, seam)];
  const name = user ?? (seam.platform === 'darwin' ? '_www' : null);
  // Neither the owner of any file nor a member of any group but the one that is named.
  if (name === null)
    return gid.length === 0
      ? { kind: 'dynamic' }
      : { kind: 'known', name: 'the service', uid: -1, gids: gid };
  const [uid, gids] = await Promise.all([seam.run('id', ['-u', name]), seam.run('id', ['-G', name])]);
  if (uid === null || gids === null)
    throw new RomAgentError(
      `the user ${JSON.stringify(name)} does not exist: expected an account of this host (sudo useradd --system --user-group ${name})`,
      { exitCode: exitCodes.usage },
    );
  return { kind: 'known', name, uid: Number(uid), gids: [...gids.trim().split(/\s+/).map(Number), ...gid] };
}

async function gidOf(group: string, seam: HostSeam): Promise<number> {
  if (seam.platform === 'darwin') {
    const found = await seam.run('dscl', ['.', '-read', `/Groups/${group}`, 'PrimaryGroupID']);
    return Number(/(\d+)\s*$/.exec(found ?? '')?.[1] ?? -1);
  }
  const entry = await seam.run('getent', ['group', group]);
  if (entry !== null) return Number(entry.split(':')[2]);
  throw new RomAgentError(
    `the group ${JSON.stringify(group)} does not exist: expected a group of this host (sudo groupadd --system ${group})`,
    { exitCode: exitCodes.usage },
  );
}

export interface Reaching {
  readonly path: string;
  readonly account: Account;
  readonly need: 'read' | 'write' | 'execute';
  /** What lies above this folder is not asked: the unit shows it to the service. */
  readonly from?: string | null;
}

/** The file or folder that keeps an account from a path, by the permission bits; null where nothing does. */
export function obstacleTo({ path, account, need, from = null }: Reaching, seam: HostSeam): string | null {
  const real = seam.realpath(path);
  const bits = { read: 0o4, write: 0o3, execute: 0o1 }[need];
  const stats = seam.stat(real);
  // From the top.
  for (const folder of upwards(dirname(real)).toReversed()) {
    if (from !== null && !isWithin(folder, from)) continue;
    const own = seam.stat(folder);
    if (own !== null && !permits(own, 0o1, account)) return folder;
  }
  return stats === null || permits(stats, bits, account) ? null : real;
}

/**
 * The folder of a home that the service has to be shown for its app; null where the app is visible anyway. A folder above
 * that has the packages, as in a workspace, counts; so does what a link leads to.
 *
 * @throws RomAgentError exit 77 where that would be a whole home of root, or where the app is among temporary files
 */
export function hiddenFolderOf(
  { file, folder }: { readonly file: string; readonly folder: string },
  seam: HostSeam,
): string | null {
  const real = seam.realpath(file);
  const hidden = [file, real].map((path) => hiddenBy(path, seam));
  if (hidden.includes('tmp')) {
    throw new RomAgentError(
      `${file} is hidden from services (PrivateTmp=yes in the unit), and temporary files are deleted: move the app to /srv or /opt`,
      { exitCode: exitCodes.noPermission },
    );
  }
  if (!hidden.includes('home')) return null;
  const home = withPackages(hiddenBy(folder, seam) === null ? dirname(real) : folder, seam);
  const shown = isWithin(real, seam.realpath(home)) ? home : commonFolder(home, real);
  if (shown.split('/').length > 2 && shown !== '/run/user') return shown;
  throw new RomAgentError(
    `${file} is hidden from services (ProtectHome=yes in the unit), and the service would have to be shown all of ${shown}: move the app to /srv or /opt`,
    { exitCode: exitCodes.noPermission },
  );
}

function withPackages(folder: string, seam: HostSeam): string {
  const above = upwards(folder).filter((each) => hiddenBy(each, seam) !== null);
  return above.find((each) => seam.stat(`${each}/node_modules`)?.isDirectory === true) ?? folder;
}

function commonFolder(a: string, b: string): string {
  const [left, right] = [a.split('/'), b.split('/')];
  const length = left.findIndex((part, index) => part !== right[index]);
  return left.slice(0, length === -1 ? left.length : length).join('/') || '/';
}
