import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * A directory and what is missing above it, all with this mode; what is there is left as it is. Not `recursive`, which
 * never returns on Node 20 where a folder cannot be made, as below /proc.
 */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  if (await isThere(path)) return;
  if (dirname(path) !== path) await makeDirectory(dirname(path), mode);
  try {
    await mkdir(path, { mode });
  } catch (error) {
    // Another was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
