import { readdir } from 'node:fs/promises';

/** The files of two of the lanes; the third has all others. Each lane takes about as long as another. */
const lanes: Readonly<Record<string, readonly string[]>> = {
  first: ['liveness', 'machine', 'clean', 'journal'],
  second: ['reload', 'socket'],
};
const placed: ReadonlySet<string> = new Set(Object.values(lanes).flat());

/**
 * Runs the test files of this folder in three processes, each of which boots one machine for all of its files: most of
 * their time they wait.
 */
export async function runLane(lane: 'first' | 'second' | 'third'): Promise<void> {
  const names = (await readdir(import.meta.dirname))
    .flatMap((file) => (file.endsWith('.test.js') ? [file.replace('.test.js', '')] : []))
    .sort();
  const own = lanes[lane] ?? names.filter((name) => !placed.has(name));
  for (const name of own) await import(`./${name}.test.js`);
}
