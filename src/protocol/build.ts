import { readFileSync } from 'node:fs';

/** What the bundler puts in its place: a hash of all that it has packed. */
declare const ROM_AGENT_BUILD: string | undefined;

const unpacked = 'unpacked';
/**
 * By what master and workers know each other as of one build. They speak a language of their own, which may be another one
 * in the next version.
 */
export const build: string = typeof ROM_AGENT_BUILD === 'string' ? ROM_AGENT_BUILD : unpacked;

/** Beside the folders of the entry points. */
const file = new URL('../build-id', import.meta.url);

/**
 * Says what is wrong where the files on the disk, which the next worker would run, are of another build than this
 * process: npm install -g, or a build, has replaced them. Null: they are the same.
 */
export function otherBuildOnDisk(own = build, read = () => readFileSync(file, 'utf8')): string | null {
  if (own === unpacked) return null;
  try {
    const there = read().trim();
    return there === own ? null : describe(own, `are of build ${there}`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? describe(own, 'are gone') : null;
  }
}

/** The same, as a worker sees it. `master`: the build of its master; undefined: it did not say. */
export function otherBuildThan(master: string | undefined, own = build): string | null {
  return master === own ? null : describe(master ?? 'unknown', `are of build ${own}`);
}

function describe(master: string, files: string): string {
  return `the master is of build ${master}, and the files of rom-agent on the disk ${files}: restart the service, and do not replace the files of one that runs (make install keeps each version in a directory of its own)`;
}
