import { attempt, limitIn, readCgroups } from '../config/cgroup.js';
import type { MemoryReading } from '../core/events.js';

export interface MemorySeam {
  /** A file as text; throws where it cannot be read. */
  readonly readFile: (path: string) => string;
  readonly platform: NodeJS.Platform;
  /** Of the machine, bytes. */
  readonly totalmem: () => number;
}

export interface WatchSeam extends MemorySeam {
  readonly post: (reading: MemoryReading) => void;
}

/** ms */
const interval = 1_000;

/**
 * Posts a reading a second where a cgroup limits the memory; elsewhere it only looks once.
 *
 * @returns what ends it
 */
export function watchMemory({ post, ...seam }: WatchSeam): () => void {
  if (readMemory(seam) === null) return () => {};
  const timer = setInterval(() => {
    const reading = readMemory(seam);
    if (reading !== null) post(reading);
  }, interval).unref();
  return () => clearInterval(timer);
}

/** A reading of the cgroup nearest to its limit, which is the own one or an ancestor; null where none has a limit. */
export function readMemory({ readFile, platform, totalmem }: MemorySeam): MemoryReading | null {
  if (platform !== 'linux') return null;
  const read = (path: string): string | undefined => attempt(readFile, path);
  const directoriesOf = readCgroups({ readFile });
  const v2 = directoriesOf({ version: 'v2', controller: '' });
  const v1 = directoriesOf({ version: 'v1', controller: 'memory' });
  const usages = [
    ...v2.flatMap((directory) => usageIn(directory, filesOfV2, read)),
    ...v1.flatMap((directory) => usageIn(directory, filesOfV1, read)),
  ].filter(({ limit }) => limit < totalmem());
  const [tightest] = usages.sort((a, b) => b.used / b.limit - a.used / a.limit);
  if (tightest === undefined) return null;
  const { used, limit, files } = tightest;
  const pressure = files.pressure === null ? undefined : read(`${v2[0]}/${files.pressure}`);
  return { type: 'memory', used, limit, stalled: stalledIn(pressure) };
}

interface Usage {
  readonly used: number;
  readonly limit: number;
  readonly files: Files;
}

/** The names of the files in a hierarchy of cgroups. */
interface Files {
  readonly limits: readonly string[];
  readonly usage: string;
  /** Lines of memory.stat: what the kernel reclaims before it kills, page cache and reclaimable slab. */
  readonly cache: RegExp;
  /** Of the own cgroup; null where there is none. */
  readonly pressure: string | null;
}

const filesOfV2: Files = {
  limits: ['memory.high', 'memory.max'],
  usage: 'memory.current',
  cache: /^(?:inactive_file|active_file|slab_reclaimable) (\d+)$/gm,
  pressure: 'memory.pressure',
};
const filesOfV1: Files = {
  limits: ['memory.limit_in_bytes'],
  usage: 'memory.usage_in_bytes',
  cache: /^total_(?:inactive|active)_file (\d+)$/gm,
  pressure: null,
};

type Read = (path: string) => string | undefined;

function usageIn(directory: string, files: Files, read: Read): readonly Usage[] {
  const { limits, usage, cache } = files;
  const limit = Math.min(...limits.map((file) => limitIn(read(`${directory}/${file}`))));
  if (!Number.isFinite(limit)) return [];
  const used = Number(read(`${directory}/${usage}`));
  if (!Number.isFinite(used)) return [];
  const stat = read(`${directory}/memory.stat`) ?? '';
  const reclaimable = [...stat.matchAll(cache)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
  return [{ used: Math.max(0, used - reclaimable), limit, files }];
}

/** `full avg10=1.23 ...`: percent of the last ten seconds, see the kernel's PSI document. */
function stalledIn(pressure: string | undefined): number | null {
  const percent = /^full avg10=([\d.]+)/m.exec(pressure ?? '')?.[1];
  return percent === undefined ? null : Number(percent) / 100;
}

export interface OomSeam {
  /** A file as text; throws where it cannot be read. */
  readonly readFile: (path: string) => string;
  readonly platform: NodeJS.Platform;
  /** The monotonic clock, ms. */
  readonly now: () => number;
}

/** How many processes the kernel has killed for memory since the last call; null: unknown. */
export type OomKills = () => number | null;

/** Processes that the kernel killed together exit within this time of each other, ms. */
const together = 2_000;

/**
 * Counts by the own cgroup, which the workers share. The kernel counts before it kills, so that the counter is right when an
 * exit is seen. Where several processes were killed together, the first call finds all of them, and later calls share them.
 */
export function watchOomKills({ readFile, platform, now }: OomSeam): OomKills {
  let file = platform === 'linux' ? counterFile(readFile) : null;
  if (file === null) return () => null;
  let last = countIn(attempt(readFile, file));
  let found = { left: 0, at: 0 };
  return () => {
    const current = counterFile(readFile);
    if (current === null) return null;
    // The service was moved into a new cgroup beside those of its jobs, whose kills are none of a worker.
    if (current !== file) [file, last] = [current, 0];
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
