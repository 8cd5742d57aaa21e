import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReloadRecord } from '../protocol/reload-record.js';
import { makeDirectory } from './make-directory.js';

/** The records of the last reloads, kept over restarts of the daemon. */
export interface History {
  /** Newest first. */
  records(): readonly ReloadRecord[];
  /** The serial number of the next reload, once the records of before are read. Asking again gives the same until that reload is added. */
  nextSerial(): Promise<number>;
  /** Adds a record, or replaces the one of the same reload. */
  add(record: ReloadRecord): void;
  /** Resolves once everything is written, or has failed to be. */
  settled(): Promise<void>;
}

export interface HistorySeam {
  /** Directory; made where it is missing. */
  readonly dir: string;
  readonly onProblem: (message: string, error: unknown) => void;
}

/** How many records are kept. */
const most = 50;
const fileName = 'reloads.json';

/** Without a directory to write to, the history is that of this process alone. */
export function openHistory({ dir, onProblem }: HistorySeam): History {
  const path = join(dir, fileName);
  let records: readonly ReloadRecord[] = [];
  let told = false;
  const problem = (message: string, error: unknown): void => {
    if (!told) onProblem(message, error);
    told = true;
  };
  const save = async (): Promise<void> => {
    try {
      await makeDirectory(dir, 0o750);
      // A reader, or a crash in between, sees the old file or the new one.
      await writeFile(`${path}.new`, `${JSON.stringify(records, null, 1)}\n`, { mode: 0o640 });
      await rename(`${path}.new`, path);
    } catch (error) {
      problem(`the history of reloads cannot be kept in ${dir} (state_dir)`, error);
    }
  };
  const reading = read(path, problem).then((old) => {
    records = limited([...records, ...old]);
  });
  let queue = reading;
  return {
    records: () => records,
    nextSerial: async () => {
      await reading;
      return Math.max(0, ...records.map(({ serial }) => serial)) + 1;
    },
    add: (record) => {
      records = limited([record, ...records.filter((other) => !isSame(other, record))]);
      queue = queue.then(save);
    },
    settled: () => queue,
  };
}

async function read(
  path: string,
  problem: (message: string, error: unknown) => void,
): Promise<readonly ReloadRecord[]> {
  try {
    const parsed: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (Array.isArray(parsed) && parsed.every(isRecord)) return numbered(parsed);
    throw new Error('it is not a list of records');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    problem(`the history of reloads ${path} cannot be read; it is kept as ${path}.bad`, error);
    await rename(path, `${path}.bad`).catch(() => {});
    return [];
  }
}

/** Good enough to be shown: the file is ours, and what matters is that a damaged one does no harm. */
function isRecord(value: unknown): value is ReloadRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { generation, at, steps } = value as Partial<ReloadRecord>;
  return Number.isInteger(generation) && Number.isFinite(at) && Array.isArray(steps);
}

/** Records of a version that gave them no number are counted from the oldest. */
function numbered(records: readonly ReloadRecord[]): readonly ReloadRecord[] {
  return records.map((record, index) => ({ ...record, serial: record.serial ?? records.length - index }));
}

function isSame(one: ReloadRecord, other: ReloadRecord): boolean {
  return one.generation === other.generation && one.at === other.at;
}

function limited(records: readonly ReloadRecord[]): readonly ReloadRecord[] {
  return records.slice(0, most);
}
