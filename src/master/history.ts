import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../files.js';
import type { ReloadRecord } from '../protocol/reload-record.js';

/** The records of the last reloads, which survive a restart of the daemon. */
export interface History {
  /** Newest first. */
  records(): readonly ReloadRecord[];
  /** The serial number of the next reload, once the file has been read. It stays the same until that reload is added. */
  nextSerial(): Promise<number>;
  /** Adds a record, or replaces the one of the same reload. */
  add(record: ReloadRecord): void;
  /** Resolves once every write has ended, also by an error. */
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

/** Where the directory cannot be written, the history lasts as long as this process. */
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
      // A reader sees the old file or the new one, also after a crash in between.
      await writeFile(`${path}.new`, `${JSON.stringify(records, null, 1)}\n`, { mode: 0o640 });
      await rename(`${path}.new`, path);
    } catch (error) {
      problem(`cannot keep the history of reloads in ${dir} (state_dir)`, error);
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
    problem(`cannot read the history of reloads ${path}: renamed it to ${path}.bad`, error);
    await rename(path, `${path}.bad`).catch(() => {});
    return [];
  }
}

/** A light check: the file is the daemon's own, and a damaged one must do no harm. */
function isRecord(value: unknown): value is ReloadRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { generation, atMs, steps } = value as Partial<ReloadRecord>;
  return Number.isInteger(generation) && Number.isFinite(atMs) && Array.isArray(steps);
}

/** Numbers the records of a version that had no serial numbers, from the oldest. */
function numbered(records: readonly ReloadRecord[]): readonly ReloadRecord[] {
  return records.map((record, index) => ({ ...record, serial: record.serial ?? records.length - index }));
}

function isSame(one: ReloadRecord, other: ReloadRecord): boolean {
  return one.generation === other.generation && one.atMs === other.atMs;
}

function limited(records: readonly ReloadRecord[]): readonly ReloadRecord[] {
  return records.slice(0, most);
}
