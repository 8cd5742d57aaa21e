import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a directory and its missing parents with this mode; existing ones stay as they are. Not by `recursive`, which never
 * returns on Node 20 where a directory cannot be made, as below /proc.
 */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  if (await isThere(path)) return;
  if (dirname(path) !== path) await makeDirectory(dirname(path), mode);
  try {
    await mkdir(path, { mode });
  } catch (error) {
    ignoreExisting(error);
  }
}

/** The same at once. */
export function makeDirectorySync(path: string, mode: number): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeDirectorySync(dirname(path), mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    ignoreExisting(error);
  }
}

export function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** A name that was made or changed in the directory survives a loss of power: fsync(2). */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The same at once. */
export function syncDirectorySync(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Another process was faster. */
function ignoreExisting(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
}
