import type { LoadInput } from '../../config/load.js';
import { systemInput } from '../../config/system.js';
import { examine } from '../../doctor/examine.js';
import type { DoctorSeam } from '../../doctor/facts.js';
import type { Finding, Verdict } from '../../doctor/finding.js';
import { gather } from '../../doctor/gather.js';
import { systemSeam } from '../../doctor/system.js';
import { type ExitCode, exitCodes } from '../../errors.js';
import { count } from '../../protocol/words.js';
import { type Colour, openTerminal, plain, type Terminal } from '../output.js';
import { checkFlags, unitOf } from '../service.js';

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
export async function doctorCommand({
  json,
  all,
  unit,
  name,
  ...flags
}: Readonly<Record<string, unknown>>): Promise<ExitCode> {
  checkFlags({ name, unit }, 'unit');
  const input = systemInput(flags);
  return runDoctor({
    seam: systemSeam(),
    input,
    unitName:
      unit === undefined
        ? (unitOf(typeof name === 'string' ? name : undefined, input.cwd) ?? usualUnit)
        : unitNameOf(String(unit)),
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

const colours: Readonly<Record<Verdict, Colour>> = {
  ok: 'green',
  warning: 'yellow',
  problem: 'red',
  unknown: 'dim',
};

/** Worst first, from the top of the report. */
const fromWorst = ['problem', 'warning', 'unknown', 'ok'] as const;
/** Worst last in a line, as in a summary of tests. */
const verdicts = ['ok', 'unknown', 'warning', 'problem'] as const;

/**
 * Problems first, each with what to change below it, by subject; the counts at the end, where a terminal shows them.
 * What is in order is counted only, unless `all` is to be seen.
 */
export function reportOf(
  findings: readonly Finding[],
  {
    paint,
    columns,
    interactive,
    all,
  }: Pick<Terminal, 'paint' | 'columns' | 'interactive'> & { all: boolean },
): string {
  const shown = all ? findings : findings.filter(({ verdict }) => verdict !== 'ok');
  const subjects = [...new Set(shown.map(({ subject }) => subject))];
  const width = Math.max(0, ...shown.map(({ check }) => check.length));
  // What is searched or kept has a line for each.
  const columnsOfText = interactive
    ? Math.max(leastRoom, columns() - indentOf(width))
    : Number.POSITIVE_INFINITY;
  const layout = { width, room: columnsOfText, paint };
  const blocks = fromWorst.flatMap((verdict) =>
    subjects.flatMap((subject) => {
      const own = shown.filter((finding) => finding.verdict === verdict && finding.subject === subject);
      if (own.length === 0) return [];
      return [`${paint('bold', subject)}\n${own.map((finding) => rowOf(finding, layout)).join('')}\n`];
    }),
  );
  return `${blocks.join('')}${summary(findings, { paint, all })}\n`;
}

export function countsOf(findings: readonly Finding[]): Readonly<Record<Verdict, number>> {
  const of = (verdict: Verdict) => findings.filter((finding) => finding.verdict === verdict).length;
  return { ok: of('ok'), unknown: of('unknown'), warning: of('warning'), problem: of('problem') };
}

interface Layout {
  /** Of the column of checks. */
  readonly width: number;
  /** For what was found, and for what to change. */
  readonly room: number;
  readonly paint: Terminal['paint'];
}

const verdictWidth = 7;
const leastRoom = 40;

/** Where what was found begins. */
function indentOf(width: number): number {
  return 2 + verdictWidth + 2 + width + 2;
}

function rowOf({ verdict, check, found, change }: Finding, { width, room, paint }: Layout): string {
  const indent = indentOf(width);
  const head = `  ${paint(colours[verdict], verdict.padEnd(verdictWidth))}  ${check.padEnd(width)}  `;
  const [first = '', ...more] = wrap(found, room);
  const lines = [`${head}${first}`, ...more.map((line) => ' '.repeat(indent) + line)];
  if (change !== null) {
    const [arrow = '', ...rest] = wrap(change, room - 3);
    lines.push(`${' '.repeat(indent)}${paint('bold', '->')} ${arrow}`);
    lines.push(...rest.map((line) => ' '.repeat(indent + 3) + line));
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** At spaces. A longer word, such as a path, stays whole: it is to be copied. */
function wrap(text: string, room: number): readonly string[] {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= room) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function summary(
  findings: readonly Finding[],
  { paint, all }: { paint: Terminal['paint']; all: boolean },
): string {
  const counts = countsOf(findings);
  return verdicts
    .filter((verdict) => counts[verdict] > 0 || verdict === 'problem')
    .map((verdict) => {
      const number = counts[verdict];
      const isNoun = verdict === 'warning' || verdict === 'problem';
      const hidden = verdict === 'ok' && !all ? ' (--all shows them)' : '';
      const text = isNoun ? count(number, verdict) : `${number} ${verdict}${hidden}`;
      return number === 0 ? text : paint(colours[verdict], text);
    })
    .join(', ');
}
