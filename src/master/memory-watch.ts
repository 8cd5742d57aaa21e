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
 * Posts a reading a second where a cgroup limits the memory; elsewhere it costs nothing more.
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

/** Of the cgroup that is nearest to its limit, the own one or an ancestor; null where none has any. */
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

/** The names of a hierarchy's files. */
interface Files {
  readonly limits: readonly string[];
  readonly usage: string;
  /** In memory.stat: what the kernel takes back before it kills: page cache, and slab that it can reclaim. */
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
