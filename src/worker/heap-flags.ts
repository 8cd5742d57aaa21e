import { setFlagsFromString } from 'node:v8';
import { heapFlagsAmong } from '../protocol/heap-flags.js';

/**
 * Clears the flags that set this process's heap sizes, until the returned function is called. V8 reads the sizes
 * once, when it creates the heap. In Node 20, V8 uses the compiled form of Node's own modules only if its flags are
 * those under which they were compiled: with any of these flags it parses and compiles each module anew, a twentieth
 * of a start.
 *
 * The flags also size the heaps of threads that the app starts, so they must be set again before the app's first
 * line.
 *
 * @param argv process.execArgv: flags from elsewhere stay
 */
export function hideHeapFlags(
  argv: readonly string[],
  set: (flag: string) => void = setFlagsFromString,
): () => void {
  const flags = heapFlagsAmong(argv);
  for (const flag of flags) set(flag.replace(/=.*/, '=0'));
  return () => flags.forEach(set);
}
