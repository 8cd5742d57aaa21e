import { constants } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { EvidenceContent, EvidenceFile } from '../../protocol/control-api.js';

const kinds: Readonly<Record<string, EvidenceFile['kind']>> = {
  cpuprofile: 'profile',
  heapsnapshot: 'heap-snapshot',
};

/** Newest first; none where the folder is not there. */
export async function listEvidence(folder: string): Promise<readonly EvidenceFile[]> {
  const names = (await readdir(folder).catch(() => [])).filter(isName);
  const found = await Promise.all(names.map((name) => describe(folder, name)));
  return found.filter((file) => file !== null).sort((a, b) => b.atMs - a.atMs);
}

/** Null where there is no such file; a name with a folder in it is none of a file here, and a link is not followed. */
export async function openEvidence(folder: string, name: string): Promise<EvidenceContent | null> {
  if (!isName(name)) return null;
  // Non-blocking: a named pipe would be waited for.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(join(folder, name), flags).catch(() => null);
  if (file === null) return null;
  const stats = await file.stat();
  if (!stats.isFile()) {
    await file.close();
    return null;
  }
  // A file that still grows is cut where it was.
  const end = Math.max(0, stats.size - 1);
  const content = file.createReadStream({ end, highWaterMark: 256 * 1024 });
  return { bytes: stats.size, content };
}

/** As this program names such files. */
function isName(name: string): boolean {
  return /^[\w-][\w.-]{0,199}$/.test(name);
}

async function describe(folder: string, name: string): Promise<EvidenceFile | null> {
  const stats = await lstat(join(folder, name)).catch(() => null);
  if (stats === null || !stats.isFile()) return null;
  const worker = /-worker-(\d+)-/.exec(name)?.[1];
  return {
    name,
    kind: kinds[name.replace(/^.*\./, '')] ?? 'other',
    worker: worker === undefined ? null : Number(worker),
    bytes: stats.size,
    atMs: Math.round(stats.mtimeMs),
  };
}
