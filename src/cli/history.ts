import type { ReloadRecord } from '../core/reload-record.js';
import { RomAgentError } from '../errors/errors.js';
import { exitCodes } from '../errors/exit-codes.js';
import { moment, span, verdictOf } from './human.js';
import { stepLine, summary } from './reload.js';
import type { CommandExit, Session } from './session.js';
import { table } from './table.js';
import type { Terminal } from './terminal.js';

export interface HistoryFlags {
  readonly json?: boolean;
  /** At most so many, the newest. */
  readonly number?: string;
}

/** `rom-agent history [generation]`: the last reloads, newest first, or the steps of one. */
export async function historyCommand(
  { client, terminal }: Session,
  generation: string | undefined,
  { json = false, number }: HistoryFlags,
): Promise<CommandExit> {
  const wanted = generation === undefined ? null : natural(generation, 'generation');
  const limit = number === undefined ? Number.POSITIVE_INFINITY : natural(number, '--number');
  const all = await client.history();
  const text =
    wanted === null
      ? list(all.slice(0, limit), { json, terminal })
      : one(find(all, wanted), { json, terminal });
  terminal.print(text);
  return exitCodes.ok;
}

interface Form {
  readonly json: boolean;
  readonly terminal: Terminal;
}

function list(records: readonly ReloadRecord[], { json, terminal }: Form): string {
  if (json) return `${JSON.stringify(records, null, 2)}\n`;
  if (records.length === 0) return 'there was no reload yet\n';
  const heads = 'GENERATION WHEN BY TOOK VERDICT ACCEPTED MOVED LOST REASON'.split(' ');
  const rows = records.map((record) => row(record, terminal));
  return table([heads.map((head) => terminal.paint('bold', head)), ...rows], { right: [0, 3, 5, 6, 7] });
}

function row(record: ReloadRecord, { paint }: Terminal): readonly string[] {
  const { generation, at, by, took, accepted, moved, lost, reason } = record;
  const { text, colour } = verdictOf(record);
  return [
    String(generation),
    moment(at),
    by,
    took === null ? '-' : span(took),
    paint(colour, text),
    String(accepted),
    String(moved),
    String(lost),
    reason ?? '',
  ];
}

function one(record: ReloadRecord, { json, terminal }: Form): string {
  if (json) return `${JSON.stringify(record, null, 2)}\n`;
  const { generation, from, release, by, at } = record;
  const head = `from generation ${from} to ${generation}, ${moment(at)}, by ${by}: ${release}`;
  const steps = record.steps.map((step) => stepLine(step, terminal));
  return `${[head, ...steps, summary(record, terminal)].join('\n')}\n`;
}

function find(records: readonly ReloadRecord[], wanted: number): ReloadRecord {
  const record = records.find(({ generation }) => generation === wanted);
  if (record !== undefined) return record;
  const known = records.map(({ generation }) => generation).join(', ');
  const right = known === '' ? 'there was no reload yet' : `expected one of ${known}`;
  throw new RomAgentError(`history: there is no reload to generation ${wanted}; ${right}`, {
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
