import { inUnit } from '../changes.js';
import { type Check, type Outcome, ok, problem, warning } from '../finding.js';
import type { ServiceUnit } from '../service-unit.js';
import { ofUnit } from './of-unit.js';

/** What no sandbox may take from Node. */
export const sandboxChecks: readonly Check[] = [ofUnit(memory), ofUnit(processes)];

function memory({ name, memoryDenyWriteExecute }: ServiceUnit): Outcome {
  if (!memoryDenyWriteExecute) return ok('MemoryDenyWriteExecute', 'no, as V8 needs it');
  const found = 'yes: V8 compiles to memory that it then executes, and aborts';
  return problem('MemoryDenyWriteExecute', found, inUnit(name, 'MemoryDenyWriteExecute=no'));
}

function processes({ name, procSubset }: ServiceUnit): Outcome | null {
  if (procSubset !== 'pid') return ok('ProcSubset', procSubset || 'all');
  const found =
    'pid: /proc without the CPUs, the memory and the kernel settings; os.cpus() is empty for the app';
  return warning('ProcSubset', found, inUnit(name, 'ProcSubset=all'));
}
