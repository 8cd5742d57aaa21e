import type { Facts, Place } from '../facts.js';
import { type Check, type Outcome, ok, problem, unknown, warning } from '../finding.js';

/** Whether there is room for what the service writes. */
export const spaceChecks: readonly Check[] = [space];

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
  if (space === null) return unknown(check, `${path}: the file system does not say`);
  const free = `${Math.round(space.bytes / mebibyte)} MiB are free where ${path} is`;
  const change = `make room there, or another ${what}`;
  // Lines of a log are lost; a record of a reload is done without.
  const worse = what === 'log.dir' ? problem : warning;
  if (space.inodes === 0) return worse(check, `no inodes are free where ${path} is`, change);
  if (space.bytes < nothing) return worse(check, free, change);
  if (space.bytes >= wanted) return ok(check, free);
  const purpose = what === 'log.dir' ? 'a day of logs' : 'a heap snapshot';
  return warning(check, `${free}: may be too little for ${purpose}`, change);
}
