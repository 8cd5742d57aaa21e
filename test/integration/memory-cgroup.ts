import {
  accessSync,
  appendFileSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../support/wait.js';

/** A cgroup whose memory is limited. */
export interface MemoryCgroup {
  readonly directory: string;
  /** A command that is run in it with what follows: for startUnder(). */
  readonly enter: readonly string[];
  /** Waits until it is empty: hooks run in the order in which they were given, so this one last. */
  remove(): Promise<void>;
}

/** Makes one with so many bytes. */
export type MakeMemoryCgroup = (bytes: number) => MemoryCgroup;

/** How to limit memory here, or why that cannot be done. */
export function memoryCgroups(): MakeMemoryCgroup | string {
  if (process.platform !== 'linux') return 'cgroups are Linux';
  return v1() ?? v2() ?? 'no cgroup with a limit of memory can be made here';
}

function v1(): MakeMemoryCgroup | null {
  const parent = '/sys/fs/cgroup/memory';
  if (!existsSync(join(parent, 'memory.limit_in_bytes')) || !isWritable(parent)) return null;
  return below(parent, (directory, bytes) =>
    writeFileSync(join(directory, 'memory.limit_in_bytes'), String(bytes)),
  );
}

function v2(): MakeMemoryCgroup | null {
  const parent = '/sys/fs/cgroup';
  const controllers = join(parent, 'cgroup.subtree_control');
  if (!existsSync(controllers) || !isWritable(parent)) return null;
  if (!readFileSync(controllers, 'utf8').split(/\s+/).includes('memory')) return null;
  return below(parent, (directory, bytes) => {
    appendFileSync(join(directory, 'memory.max'), String(bytes));
    // What the kernel puts aside would not count.
    if (existsSync(join(directory, 'memory.swap.max')))
      appendFileSync(join(directory, 'memory.swap.max'), '0');
  });
}

let last = 0;

function below(parent: string, limit: (directory: string, bytes: number) => void): MakeMemoryCgroup {
  return (bytes) => {
    const directory = join(parent, `rom-agent-memory-${process.pid}-${++last}`);
    mkdirSync(directory);
    const remove = () =>
      waitFor('an empty cgroup', () => {
        rmdirSync(directory);
        return true;
      });
    limit(directory, bytes);
    const script = `echo $$ > ${join(directory, 'cgroup.procs')} && exec "$@"`;
    const enter = ['/bin/sh', '-c', script, 'sh'];
    return { directory, enter, remove: async () => void (await remove()) };
  };
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
