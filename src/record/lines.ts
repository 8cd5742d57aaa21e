import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { usualWhyLines, type WhyLine, type WhyQuery, whyKinds } from '../protocol/why.js';
import { filesOf } from './ring.js';

/** The files below the state directory. */
export const folder = 'record';
export const decisionsFile = 'decisions.ndjson';
export const turnsFile = 'turns.ndjson';

export function recordDirectory(stateDir: string): string {
  return join(stateDir, folder);
}

/**
 * The lines in the state directory of a service, whether it runs or not, oldest first. Lines that are torn are left out.
 *
 * @param clockMs wall clock, ms since 1970
 * @throws what readFile throws, but where there is no such file
 */
export async function readLines(
  stateDir: string,
  query: WhyQuery,
  clockMs: number,
): Promise<readonly WhyLine[]> {
  const { lines = usualWhyLines } = query;
  const isWanted = wantedBy(query, clockMs);
  const found: WhyLine[] = [];
  for (const path of [...filesOf(recordDirectory(stateDir), decisionsFile)].reverse()) {
    const texts = (await textOf(path)).split('\n');
    for (let index = texts.length - 1; index >= 0 && found.length < lines; index--) {
      const line = lineOf(texts[index] ?? '');
      if (line !== null && isWanted(line)) found.push(line);
    }
  }
  return found.reverse();
}

/** Those of the lines, oldest first, that are asked for; the newest of them. */
export function matching(all: readonly WhyLine[], query: WhyQuery, clockMs: number): readonly WhyLine[] {
  const { lines = usualWhyLines } = query;
  return all.filter(wantedBy(query, clockMs)).slice(-lines);
}

function wantedBy({ since, worker }: WhyQuery, clockMs: number): (line: WhyLine) => boolean {
  const earliest = since === undefined ? '' : new Date(clockMs - since * 1_000).toISOString();
  return (line) => line.at >= earliest && (worker === undefined || line.worker === worker);
}

/** The recorded turns, oldest first. */
export async function readTurns(stateDir: string): Promise<string> {
  const texts = await Promise.all(filesOf(recordDirectory(stateDir), turnsFile).map(textOf));
  return texts.map((text) => (text === '' || text.endsWith('\n') ? text : `${text}\n`)).join('');
}

/**
 * The line that tells of a master which ended without a word; null where the last one said that it ends, or there was none.
 * What it wrote last was written when it still lived.
 */
export async function lostMaster(stateDir: string): Promise<WhyLine | null> {
  const [last] = await readLines(stateDir, { lines: 1 }, 0);
  if (last === undefined || last.kind === 'exit' || last.kind === 'lost') return null;
  const dir = recordDirectory(stateDir);
  const signs = await Promise.all(
    [turnsFile, decisionsFile].map((name) =>
      stat(join(dir, name)).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    ),
  );
  const at = new Date(Math.max(Date.parse(last.at), ...signs)).toISOString();
  return {
    at,
    worker: null,
    pid: null,
    generation: null,
    kind: 'lost',
    text: 'the master ended without a word; this is the last that it wrote',
    cause: 'SIGKILL, the kernel for want of memory, the watchdog, or the machine went down',
    advice: 'journalctl -b -1, journalctl -k and the unit in systemctl status say which',
  };
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return '';
    throw error;
  }
}

const kinds: ReadonlySet<unknown> = new Set(whyKinds);

function lineOf(text: string): WhyLine | null {
  if (text === '') return null;
  try {
    const value = JSON.parse(text) as Partial<WhyLine> | null;
    const isLine =
      value !== null &&
      typeof value.at === 'string' &&
      typeof value.text === 'string' &&
      kinds.has(value.kind);
    return isLine ? (value as WhyLine) : null;
  } catch {
    return null;
  }
}
