import { exitCodes, RomAgentError } from '../../errors.js';
import type { ReloadLine } from '../../protocol/control-api.js';
import type { ReloadRecord, ReloadStep, Verdict } from '../../protocol/reload-record.js';
import { count } from '../../protocol/words.js';
import { notRight, wholeNumber } from '../arguments.js';
import { height, moment, span, type Terminal, table, verdictOf } from '../output.js';
import { type CommandExit, interruptedExit, type Session } from '../session.js';

export interface ReloadFlags {
  readonly soak: boolean;
  readonly rollback: boolean;
  readonly json?: boolean;
  readonly fleet?: boolean;
}

/** `rom-agent reload`: a line a step. The exit status is the verdict. */
export async function reloadCommand(
  session: Session,
  { soak, rollback, json = false, fleet = false }: ReloadFlags,
): Promise<CommandExit> {
  const { client, terminal, by, interrupted } = session;
  if (fleet) {
    if (!rollback) throw notRight('reload: --no-rollback', 'true', 'no --no-rollback with --fleet');
    const { rolloutCommand } = await import('./fleet.js');
    return rolloutCommand(session, { by, kind: 'reload', soak }, { json });
  }
  const teller = reloadTeller(terminal);
  const show = json ? (line: ReloadLine) => terminal.printJson(line, 'line') : printer(terminal, teller);
  const record = await orAborted(client.reload({ by, soak, rollback }, show), interrupted());
  if (record === null) {
    terminal.warn(
      'the reload continues in the daemon; rom-agent abort rolls it back, rom-agent history shows it',
    );
    return interruptedExit;
  }
  if (!json) terminal.print(`${teller.summary(record)}\n`);
  return exitOf(record.verdict);
}

export interface ReloadTeller {
  /** A line; null where the summary says it. */
  step(step: ReloadStep): string | null;
  summary(record: ReloadRecord): string;
}

/** Tells of reloads line by line. A reason that was told is not told again. */
export function reloadTeller(terminal: Terminal): ReloadTeller {
  let told: readonly string[] = [];
  return {
    step: (step) => {
      if (step.step === 'begun') told = [];
      if (step.step === 'verdict') return null;
      const line = stepLine({ ...step, detail: withoutEnd(step.detail, told) }, terminal);
      if (step.step === 'died' || step.step === 'rollback') told = [...told, step.detail];
      return line;
    },
    summary: (record) => {
      const isTold = record.reason !== null && told.includes(record.reason);
      return summary(isTold ? { ...record, reason: null } : record, terminal);
    },
  };
}

/** `worker 1 could not start: Error: no database` after `Error: no database` is `worker 1 could not start`. */
function withoutEnd(text: string, ends: readonly string[]): string {
  const end = ends.find((candidate) => candidate !== '' && text.endsWith(candidate));
  return end === undefined ? text : text.slice(0, -end.length).replace(/: $/, '').trimEnd();
}

/** One step of a reload, in columns. */
function stepLine({ atMs: at, step, worker, generation, detail }: ReloadStep, { paint }: Terminal): string {
  const colour = colours[step];
  const who = worker === null ? '' : `worker ${worker}, generation ${generation ?? '?'}`;
  const name = step.padEnd(8);
  const rest = [who, detail].filter((part) => part !== '').join(': ');
  return `${(at / 1000).toFixed(2).padStart(8)} s  ${colour ? paint(colour, name) : name}  ${rest}`.trimEnd();
}

/** What came of a reload, in one line. */
function summary(record: ReloadRecord, { paint }: Terminal): string {
  const { generation, tookMs, accepted, moved, lost, reason } = record;
  const { text, colour } = verdictOf(record);
  const within = tookMs === null ? '' : ` ${record.verdict === 'done' ? 'in' : 'after'} ${span(tookMs)}`;
  const why = reason === null ? '' : `: ${reason}`;
  const counts = [
    `${count(accepted, 'connection')} accepted`,
    `${count(moved, 'request')} in flight moved`,
    `${lost} lost`,
  ];
  return `generation ${generation} ${paint(colour, text)}${within}${why} (${counts.join(', ')})`;
}

const colours: Partial<Record<ReloadStep['step'], 'green' | 'red'>> = {
  ready: 'green',
  soaked: 'green',
  died: 'red',
  rollback: 'red',
};

function printer(terminal: Terminal, teller: ReloadTeller): (line: ReloadLine) => void {
  return (line) => {
    if (line.type === 'record') return;
    if (line.type === 'step') {
      const text = teller.step(line.step);
      if (text !== null) terminal.print(`${text}\n`);
      return;
    }
    if (line.type === 'waits') {
      terminal.print(`waits: ${line.host} reloads; rom-agent abort gives it up\n`);
      return;
    }
    // The error says it.
    if (line.type === 'refused') return;
    terminal.print(`reload ${line.serial} to generation ${line.generation}\n`);
    if (line.needRestart.length === 0) return;
    const names = line.needRestart.join(', ');
    terminal.warn(`changed settings that take effect only after a restart: ${names}`);
  };
}

function exitOf(verdict: Verdict | null): CommandExit {
  if (verdict === 'done') return exitCodes.ok;
  return verdict === 'rolled-back' ? exitCodes.appFailed : exitCodes.tryAgain;
}

/** null where the signal was first. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  const aborted = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  return Promise.race([promise, aborted]);
}

/** `rom-agent abort` */
export async function abortCommand({ client, terminal, by }: Session): Promise<CommandExit> {
  terminal.print(`${await client.abort(by)}\n`);
  return exitCodes.ok;
}

export interface HistoryFlags {
  readonly json?: boolean;
  /** At most so many, the newest. */
  readonly number?: string;
}

/** `rom-agent history [number]`: the last reloads, newest first, or the steps of one. */
export async function historyCommand(
  { client, terminal }: Session,
  serial: string | undefined,
  { json = false, number }: HistoryFlags,
): Promise<CommandExit> {
  const wanted = serial === undefined ? null : natural(serial, 'number');
  const limit = number === undefined ? Number.POSITIVE_INFINITY : natural(number, '--number');
  const all = await client.history();
  const found = wanted === null ? all.slice(0, limit) : find(all, wanted);
  if (json) terminal.printJson(found, 'pretty');
  else terminal.print('steps' in found ? one(found, terminal) : list(found, terminal));
  return exitCodes.ok;
}

function list(records: readonly ReloadRecord[], terminal: Terminal): string {
  if (records.length === 0) return 'no reloads yet\n';
  const heads = 'NO WHEN BY TOOK VERDICT GEN ACCEPTED MOVED LOST REASON'.split(' ');
  const right = [0, 3, 5, 6, 7, 8];
  const head = heads.map((head) => terminal.paint('bold', head));
  const whole = table([head, ...records.map((record) => row(record, terminal))], { right });
  if (!terminal.interactive || height(whole, terminal.columns()) === records.length + 1) return whole;
  // The reasons, which are long, on lines of their own.
  const [first = '', ...lines] = table(
    [head, ...records.map((record) => row(record, terminal))].map((cells) => cells.slice(0, -1)),
    { right },
  )
    .trimEnd()
    .split('\n');
  const shown = lines.flatMap((line, index) => {
    const reason = records[index]?.reason ?? null;
    return reason === null ? [line] : [line, `    ${reason}`];
  });
  return `${[first, ...shown].join('\n')}\n`;
}

function row(record: ReloadRecord, { paint }: Terminal): readonly string[] {
  const { serial, generation, atMs: at, by, tookMs, accepted, moved, lost, reason } = record;
  const { text, colour } = verdictOf(record);
  return [
    String(serial),
    moment(at),
    by,
    tookMs === null ? '-' : span(tookMs),
    paint(colour, text),
    String(generation),
    String(accepted),
    String(moved),
    String(lost),
    reason ?? '',
  ];
}

function one(record: ReloadRecord, terminal: Terminal): string {
  const { serial, generation, from, release, by, atMs: at } = record;
  const head = `reload ${serial} from generation ${from} to ${generation}, ${moment(at)}, by ${by}: ${release}`;
  const teller = reloadTeller(terminal);
  const steps = record.steps.map(teller.step).filter((line) => line !== null);
  return `${[head, ...steps, teller.summary(record)].join('\n')}\n`;
}

function find(records: readonly ReloadRecord[], wanted: number): ReloadRecord {
  const record = records.find(({ serial }) => serial === wanted);
  if (record !== undefined) return record;
  const known = records.map(({ serial }) => serial).join(', ');
  const right = known === '' ? 'no reloads yet' : `expected one of ${known}`;
  throw new RomAgentError(`history: no reload has the number ${wanted}; ${right}`, {
    exitCode: exitCodes.usage,
  });
}

function natural(value: string, field: string): number {
  return wholeNumber(`history: ${field}`, value, { most: 999_999_999, expected: 'a number from 1' });
}
