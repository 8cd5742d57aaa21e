import { inUnit } from '../changes.js';
import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, problem, warning } from '../finding.js';
import type { ServiceUnit } from '../service-unit.js';
import { ofUnit } from './of-unit.js';

/** What no sandbox may take from Node. */
export const sandboxChecks: readonly Check[] = [ofUnit(memory), ofUnit(processes), ofUnit(paths)];

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

/** systemd builds the sandbox before it starts anything; without one of these it gives up with 226. */
function paths({ name }: ServiceUnit, { systemd }: Facts): Outcome | null {
  const missing = systemd?.missingPaths ?? [];
  const [first] = missing;
  if (first === undefined) return null;
  const named = missing.map(({ directive, path }) => `${directive}=${path}`).join(', ');
  const change = `sudo install -d ${missing.map(({ path }) => path).join(' ')}; or ${inUnit(name, `${first.directive}=-${first.path}`)}`;
  return problem('paths', `${named}: not there, so that a start ends with 226 (NAMESPACE)`, change);
}
