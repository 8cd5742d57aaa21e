import { readdir } from 'node:fs/promises';

/** The files of the first lane, which take about as long as all others. */
const first: ReadonlySet<string> = new Set(
  ['liveness', 'machine', 'clean', 'doctor', 'journal'].map((name) => `${name}.test.js`),
);

/**
 * Runs the test files of this folder in two processes, each of which boots one machine for all of its files: most of
 * their time they wait.
 */
export async function runLane(lane: 'first' | 'second'): Promise<void> {
  const files = (await readdir(import.meta.dirname)).filter((name) => name.endsWith('.test.js')).sort();
  for (const file of files) if (first.has(file) === (lane === 'first')) await import(`./${file}`);
}
