import type { LoadInput } from '../config/load.js';
import { systemInput } from '../config/system.js';
import { examine } from '../doctor/examine.js';
import type { DoctorSeam } from '../doctor/facts.js';
import { gather } from '../doctor/gather.js';
import { systemSeam } from '../doctor/system.js';
import { type ExitCode, exitCodes } from '../errors.js';
import { countsOf, reportOf } from './doctor-report.js';
import { plain } from './foreign.js';
import { openTerminal, type Terminal } from './terminal.js';

export interface DoctorInput {
  readonly seam: DoctorSeam;
  readonly input: LoadInput;
  /** The service to look at; null: none. */
  readonly unitName: string | null;
  readonly json: boolean;
  /** Shows what is in order, too. */
  readonly all: boolean;
  readonly terminal: Pick<Terminal, 'print' | 'printJson' | 'paint' | 'columns' | 'interactive'>;
}

/** `rom-agent doctor` with the flags that commander parsed, on this machine. */
export function doctorCommand({
  json,
  all,
  unit,
  ...flags
}: Readonly<Record<string, unknown>>): Promise<ExitCode> {
  return runDoctor({
    seam: systemSeam(),
    input: systemInput(flags),
    unitName: unitNameOf(String(unit ?? usualUnit)),
    json: json === true,
    all: all === true,
    terminal: openTerminal(),
  });
}

/**
 * What is wrong with the configuration, the machine and the unit, and what to change. 78 (EX_CONFIG, "found in an
 * unconfigured or misconfigured state") where something is a problem, whatever it is; warnings do not count.
 */
export async function runDoctor({
  seam,
  input,
  unitName,
  json,
  all,
  terminal,
}: DoctorInput): Promise<ExitCode> {
  const facts = await gather({ seam, input, unitName });
  const findings = examine(facts);
  const counts = countsOf(findings);
  const document = { unit: facts.settings.asUnit, counts, findings };
  if (json) terminal.printJson(document, 'pretty');
  else terminal.print(reportOf(plain(findings), { ...terminal, all }));
  return counts.problem === 0 ? exitCodes.ok : exitCodes.config;
}

const usualUnit = 'rom-agent.service';

/** `none` is no unit, and `shop` is shop.service. */
function unitNameOf(given: string): string | null {
  if (given === 'none') return null;
  return given.endsWith('.service') ? given : `${given}.service`;
}
