import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type EntryWork, workVariable, type ZoneTables } from './entry-work.js';
import { type Offset, offsetsOf } from './zones.js';

/** A machine that is busy may need seconds for a process, ms. */
const longest = 60_000;

/**
 * The offsets of time zones, found by a process that ends: what Intl takes for it never becomes part of this process.
 *
 * @returns null for a name that Node does not know
 * @throws where there was no such process, or no answer
 */
export async function askZones(names: readonly string[]): Promise<ReadonlyMap<string, Offset | null>> {
  const work: EntryWork = { kind: 'zones', names, aroundMs: Date.now() };
  const entry = fileURLToPath(new URL('../jobs/main.js', import.meta.url));
  const env = { ...process.env, [workVariable]: JSON.stringify(work) };
  const text = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, [entry], { env, timeout: longest, killSignal: 'SIGKILL' }, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error),
    );
  });
  const tables = JSON.parse(text) as ZoneTables;
  return new Map(
    names.map((name) => {
      const table = tables[name] ?? null;
      return [name, table === null ? null : offsetsOf(table)];
    }),
  );
}
