/** The process: its event loop (node.cc, env.cc), its main module, its standard output. */
import Module from 'node:module';
import { Server as TcpServer } from 'node:net';

/** Named by process.getActiveResourcesInfo() whether they keep the loop or not; the handles below tell more of them. */
const unclear: ReadonlySet<string> = new Set([
  'IntervalHistogram',
  'PipeServerWrap',
  'PipeWrap',
  'TCPServerWrap',
  'TCPSocketWrap',
  'TTYWrap',
]);

/**
 * What keeps the event loop besides servers that listen, by names such as `Timeout` and `Socket`; standard output, which
 * never does, is left out. Null: this Node does not tell.
 */
export function underWay(worker: object = process): readonly string[] | null {
  const { _getActiveHandles: getHandles } = worker as { _getActiveHandles?: () => unknown };
  const handles: unknown = typeof getHandles === 'function' ? getHandles.call(worker) : null;
  if (!Array.isArray(handles)) return null;
  const others = (handles as object[]).filter(
    (handle) => !(handle instanceof TcpServer) && !isStandard(handle) && !isHistogram(handle),
  );
  const resources = (worker as NodeJS.Process).getActiveResourcesInfo().filter((name) => !unclear.has(name));
  return [...resources, ...others.map((handle) => handle.constructor.name)];
}

/** Of perf_hooks.monitorEventLoopDelay(): its timer keeps nothing. */
function isHistogram({ constructor: { name } }: object): boolean {
  return name.endsWith('Histogram');
}

/** tty.WriteStream and the sockets of process.stdout and its like bear their descriptor. */
function isStandard(handle: object): boolean {
  const { fd } = handle as { fd?: unknown };
  return typeof fd === 'number' && fd >= 0 && fd <= 2;
}

/** Runs a file as the main module (internal/modules/run_main.js), as `node <file>` does. Nothing happens where this Node does that in another way. */
export function runMainModule(file: string): void {
  const { runMain } = Module as unknown as { runMain?: (file: string) => void };
  if (typeof runMain === 'function') runMain(file);
}

/**
 * Has what is written to process.stdout or process.stderr go to another descriptor from now on, where the stream is one
 * of a file, which writes to its `fd` each time (internal/fs/sync_write_stream.js). False: it is another kind of stream, and stays as it is.
 */
export function pointStream(stream: object, fd: number): boolean {
  if (stream.constructor.name !== 'SyncWriteStream' || typeof Reflect.get(stream, 'fd') !== 'number')
    return false;
  return Reflect.set(stream, 'fd', fd);
}
