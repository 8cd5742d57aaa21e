import { exitCodes, RomAgentError } from '../errors.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import { moment, span, verdictOf } from './human.js';
import { reloadTeller } from './reload.js';
import type { CommandExit, Session } from './session.js';
import { height, table } from './table.js';
import type { Terminal } from './terminal.js';

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
  if (records.length === 0) return 'there was no reload yet\n';
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
  const { serial, generation, at, by, took, accepted, moved, lost, reason } = record;
  const { text, colour } = verdictOf(record);
  return [
    String(serial),
    moment(at),
    by,
    took === null ? '-' : span(took),
    paint(colour, text),
    String(generation),
    String(accepted),
    String(moved),
    String(lost),
    reason ?? '',
  ];
}

function one(record: ReloadRecord, terminal: Terminal): string {
  const { serial, generation, from, release, by, at } = record;
  const head = `reload ${serial} from generation ${from} to ${generation}, ${moment(at)}, by ${by}: ${release}`;
  const teller = reloadTeller(terminal);
  const steps = record.steps.map(teller.step).filter((line) => line !== null);
  return `${[head, ...steps, teller.summary(record)].join('\n')}\n`;
}

function find(records: readonly ReloadRecord[], wanted: number): ReloadRecord {
  const record = records.find(({ serial }) => serial === wanted);
  if (record !== undefined) return record;
  const known = records.map(({ serial }) => serial).join(', ');
  const right = known === '' ? 'there was no reload yet' : `expected one of ${known}`;
  throw new RomAgentError(`history: there is no reload number ${wanted}; ${right}`, {
    exitCode: exitCodes.usage,
  });
}

function natural(value: string, field: string): number {
  if (/^[1-9]\d{0,8}$/.test(value)) return Number(value);
  throw new RomAgentError(
    `history: ${field} ${JSON.stringify(value)} is not right: expected a number from 1`,
    { exitCode: exitCodes.usage },
  );
}
