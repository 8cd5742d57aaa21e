import type { LoadInput } from '../../src/config/load.js';
import type { Machine } from '../../src/config/machine.js';

export const fourCpus: Machine = {
  cpus: 4,
  cpusFrom: 'CPU affinity',
  memory: 16_384,
  memoryFrom: 'memory of the machine',
  memoryIsLimited: false,
};

/** What loadConfig takes, on a made-up machine with made-up files. */
export function loadInput({
  files = {},
  ...rest
}: { files?: Readonly<Record<string, string | Error>> } & Partial<LoadInput> = {}): LoadInput {
  return {
    flags: {},
    env: {},
    cwd: '/srv/cwd',
    machine: fourCpus,
    directories: {
      runtime: '/run/rom-agent',
      runtimeFrom: 'user root',
      state: '/var/lib/rom-agent',
      stateFrom: 'user root',
      config: '/etc/rom-agent/rom-agent.toml',
    },
    nodeVersion: '20.19.0',
    platform: 'linux',
    readFile: fakeFiles(files),
    ...rest,
  };
}

/** Reads from a record; an Error in it is thrown, and what is not in it does not exist. */
export function fakeFiles(files: Readonly<Record<string, string | Error>>): (path: string) => string {
  return (path) => {
    const content = files[path] ?? fileError('ENOENT', path);
    if (content instanceof Error) throw content;
    return content;
  };
}

export function fileError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: cannot open '${path}'`), { code });
}
