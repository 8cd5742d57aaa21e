import { closeSync, openSync, statfsSync, writeFileSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { heapUsed } from '../../protocol/memory.js';
import type { EvidenceKind } from '../../protocol/messages.js';

export interface EvidenceOrder {
  readonly kind: EvidenceKind;
  /** Absolute path of a file that does not exist yet, in a directory that does. */
  readonly path: string;
  /** Duration of a profile. */
  readonly seconds: number;
}

export interface EvidenceResult {
  readonly bytes: number;
  /** Why there is no file; null where there is one. */
  readonly failure: string | null;
}

const mebibyte = 2 ** 20;
/** How much space stays free on the disk, bytes. */
const reserve = 64 * mebibyte;
/** The file of a snapshot is about as large as the heap, sometimes half as large again. */
const snapshotFactor = 1.5;
/** The file of a profile: some hundred samples a second, and every function once. */
const profileSize = 16 * mebibyte;

/**
 * Writes a CPU profile or a heap snapshot of this process, in the formats that Chrome's developer tools open. Only
 * this user can read the file: both may contain secrets. Never rejects.
 */
export async function writeEvidence(
  { kind, path, seconds }: EvidenceOrder,
  free: (directory: string) => number = freeSpace,
): Promise<EvidenceResult> {
  const session = new Session();
  session.connect();
  try {
    checkSpace(free(dirname(path)), { path, kind });
    const bytes = await (kind === 'profile' ? profile(session, path, seconds) : snapshot(session, path));
    return { bytes, failure: null };
  } catch (error) {
    const existed = (error as NodeJS.ErrnoException).code === 'EEXIST';
    if (!existed) await rm(path, { force: true }).catch(() => {});
    return { bytes: 0, failure: error instanceof Error ? error.message : String(error) };
  } finally {
    session.disconnect();
  }
}

async function profile(session: Session, path: string, seconds: number): Promise<number> {
  await session.post('Profiler.enable');
  await session.post('Profiler.start');
  await sleep(seconds * 1000);
  const { profile } = await session.post('Profiler.stop');
  const json = Buffer.from(JSON.stringify(profile));
  writeFileSync(path, json, { mode: 0o600, flag: 'wx' });
  return json.length;
}

/** Writes each chunk as V8 makes it: the whole snapshot would have to fit into the heap that it describes. */
async function snapshot(session: Session, path: string): Promise<number> {
  const file = openSync(path, 'wx', 0o600);
  let bytes = 0;
  let failure: Error | null = null;
  session.on('HeapProfiler.addHeapSnapshotChunk', ({ params: { chunk } }) => {
    try {
      if (failure === null) bytes += writeSync(file, chunk);
    } catch (error) {
      failure = error as Error;
    }
  });
  try {
    await session.post('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
  } finally {
    closeSync(file);
  }
  if (failure !== null) throw failure;
  return bytes;
}

function checkSpace(bytes: number, { path, kind }: Pick<EvidenceOrder, 'path' | 'kind'>): void {
  const size = kind === 'profile' ? profileSize : heapUsed() * snapshotFactor;
  const free = Math.floor(bytes / mebibyte);
  const needed = Math.ceil((size + reserve) / mebibyte);
  if (free >= needed) return;
  throw new Error(`${dirname(path)} has ${free} MiB free; expected ${needed} MiB for a ${kind}`);
}

/** Bytes that this user may still write; for root, too, without the blocks that are reserved for root. */
function freeSpace(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}
