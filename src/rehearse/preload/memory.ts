import { Session } from 'node:inspector';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Allocation, Heap, Place } from '../reports.js';
import { fileOf, innermost } from './tell.js';

let session: Session | null = null;

/** The heap after all that nobody holds has gone. */
export async function collect(): Promise<Heap> {
  const gc = collector();
  // Finalizers run between two turns, and set more free.
  for (let times = 0; times < 3; times++) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return { bytes: heapUsed + external };
}

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

/** Samples allocations, one in 16 KiB; V8 forgets those that were collected. */
export function watchHeap(): null {
  session ??= opened();
  session.post('HeapProfiler.startSampling', { samplingInterval: 16_384 });
  return null;
}

/** What was allocated since then and is still there, by function of the app, the largest first. */
export async function leaks(): Promise<readonly Allocation[]> {
  const profiler = session;
  if (profiler === null) return [];
  await collect();
  const root = await new Promise<Node | null>((resolve) =>
    profiler.post('HeapProfiler.stopSampling', (error, { profile } = {} as never) =>
      resolve(error === null ? (profile.head as Node) : null),
    ),
  );
  const byPlace = new Map<string, { at: Place; bytes: number }>();
  if (root !== null) add(root, [], byPlace);
  return [...byPlace.values()].sort((a, b) => b.bytes - a.bytes).slice(0, 5);
}

/** https://chromedevtools.github.io/devtools-protocol/v8/HeapProfiler/#type-SamplingHeapProfileNode */
interface Node {
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly selfSize: number;
  readonly children: readonly Node[];
}

/** @param above the app's functions that have called, innermost first */
function add(
  { callFrame, selfSize, children }: Node,
  above: readonly Place[],
  into: Map<string, { at: Place; bytes: number }>,
): void {
  const { functionName, url, lineNumber } = callFrame;
  const file = fileOf(url);
  const here =
    file === null ? above : [{ function: functionName || null, file, line: lineNumber + 1 }, ...above];
  const at = innermost(here);
  if (at !== null && selfSize > 0) {
    const key = `${at.file}:${at.line}`;
    into.set(key, { at, bytes: (into.get(key)?.bytes ?? 0) + selfSize });
  }
  for (const child of children) add(child, here, into);
}

/** As a leak does at its end: in steps, so that the process goes on meanwhile. */
export function fill(): null {
  const kept: unknown[] = [];
  const step = (): void => {
    for (let times = 0; times < 8; times++)
      kept.push(Array.from({ length: 65_536 }, (_, index) => ({ index })));
    setTimeout(step, 5);
  };
  step();
  return null;
}

function opened(): Session {
  const created = new Session();
  created.connect();
  return created;
}
