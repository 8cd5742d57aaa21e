import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import type { LoadInput } from './load.js';
import { readMachine } from './machine.js';

/** What loadConfig needs, from the process it runs in. */
export function systemInput(flags: LoadInput['flags']): LoadInput {
  const { platform } = process;
  const readFile = (path: string) => readFileSync(path, 'utf8');
  return {
    flags,
    env: process.env,
    cwd: process.cwd(),
    machine: readMachine({ readFile, availableParallelism, totalmem, platform }),
    readFile,
    nodeVersion: process.versions.node,
    platform,
  };
}
