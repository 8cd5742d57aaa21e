import { dirname } from 'node:path';
import type { Config } from '../../config/config.js';
import type { Account, Place } from '../facts.js';
import type { DoctorSeam } from '../seam.js';
import type { ServiceUnit } from '../service-unit.js';
import { isRoot } from './unit-input.js';

/** What the service reads and writes. */
export function placesOf(seam: DoctorSeam, config: Config, isSelf: boolean): readonly Place[] {
  const place = (what: string, path: string, need: Place['need'], counts = false): Place => {
    const steps = stepsOf(seam, path);
    const there = steps.find(({ stats }) => stats !== null)?.path ?? '/';
    const isThere = steps[0]?.stats != null;
    return {
      what,
      path,
      need,
      steps,
      // What is not there yet is made by the service: its parent has to let it.
      access: isSelf ? seam.mayAccess(there, isThere ? need : 'write') : null,
      space: counts ? seam.space(there) : null,
    };
  };
  const { app, stateDir, log, controlSocket, host } = config;
  return [
    ...(app === null ? [] : [place('app', app, 'read')]),
    place('state_dir', stateDir, 'write', true),
    ...(log.dir === null ? [] : [place('log.dir', log.dir, 'write', true)]),
    place('control_socket', dirname(controlSocket), 'write'),
    ...(host?.startsWith('/') ? [place('host', dirname(host), 'write')] : []),
  ];
}

export async function accountOf(seam: DoctorSeam, unit: ServiceUnit | null): Promise<Account> {
  if (unit === null) return { kind: 'known', name: seam.userName, uid: seam.uid, gids: seam.gids };
  if (unit.dynamicUser) return { kind: 'dynamic' };
  if (isRoot(unit)) return { kind: 'known', name: 'root', uid: 0, gids: [0] };
  const [uid, gids] = await Promise.all([
    seam.run('id', ['-u', unit.user]),
    seam.run('id', ['-G', unit.user]),
  ]);
  if (uid === null || gids === null) return { kind: 'unknown', name: unit.user };
  return { kind: 'known', name: unit.user, uid: Number(uid), gids: gids.trim().split(' ').map(Number) };
}

function stepsOf(seam: DoctorSeam, path: string): Place['steps'] {
  const real = seam.realpath(path);
  const steps = [real];
  for (let up = dirname(real); up !== steps.at(-1); up = dirname(up)) steps.push(up);
  return steps.map((step) => ({ path: step, stats: seam.stat(step) }));
}
