import { attempt, readCgroups } from '../config/cgroup.js';

export interface OomSeam {
  /** A file as text; throws where it cannot be read. */
  readonly readFile: (path: string) => string;
  readonly platform: NodeJS.Platform;
  /** The monotonic clock, ms. */
  readonly now: () => number;
}

/** How many processes the kernel has killed for memory since the last look; null: it does not say. */
export type OomKills = () => number | null;

/** Of several that were killed at once the others are reaped within this, ms. */
const together = 2_000;

/**
 * Counts by the own cgroup, in which the workers are, too. The kernel counts before it kills, so that a look at a death
 * sees it. Several may be killed at once: what the first look finds is there for those that follow.
 */
export function watchOomKills({ readFile, platform, now }: OomSeam): OomKills {
  const file = platform === 'linux' ? counterFile(readFile) : null;
  if (file === null) return () => null;
  let last = countIn(attempt(readFile, file));
  let found = { left: 0, at: 0 };
  return () => {
    const count = countIn(attempt(readFile, file));
    if (count === null) return null;
    const fresh = count - (last ?? count);
    last = count;
    if (fresh > 0) found = { left: fresh, at: now() };
    const kills = now() - found.at <= together ? found.left : 0;
    found = { ...found, left: Math.max(0, found.left - 1) };
    return kills;
  };
}

/** cgroup-v2 document of the kernel; memory.oom_control has the counter since Linux 4.13. */
function counterFile(readFile: OomSeam['readFile']): string | null {
  const directoriesOf = readCgroups({ readFile });
  const candidates = [
    ...directoriesOf({ version: 'v2', controller: '' }).map((directory) => `${directory}/memory.events`),
    ...directoriesOf({ version: 'v1', controller: 'memory' }).map(
      (directory) => `${directory}/memory.oom_control`,
    ),
  ];
  return candidates.find((path) => countIn(attempt(readFile, path)) !== null) ?? null;
}

function countIn(text: string | undefined): number | null {
  const count = /^oom_kill (\d+)$/m.exec(text ?? '')?.[1];
  return count === undefined ? null : Number(count);
}
