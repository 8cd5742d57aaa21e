import { setFlagsFromString } from 'node:v8';
import { heapFlagsAmong } from '../protocol/heap-flags.js';

/**
 * Takes back the flags that gave this process the size of its heap, until what it returns is called. V8 reads the sizes
 * once, when it makes the heap. That of Node 20 takes Node's own modules in their compiled form only while its flags are
 * those that they were compiled under: with any of these set each is parsed and compiled anew, a twentieth of a
 * start.
 *
 * Threads that the app starts get their heaps by the flags too, so that they are shown before its first line.
 *
 * @param argv process.execArgv: flags that came in another way stay
 */
export function hideHeapFlags(
  argv: readonly string[],
  set: (flag: string) => void = setFlagsFromString,
): () => void {
  const flags = heapFlagsAmong(argv);
  for (const flag of flags) set(flag.replace(/=.*/, '=0'));
  return () => flags.forEach(set);
}
