/** The process: its event loop (node.cc, env.cc), its main module, its standard output. */
import Module from 'node:module';
import { Server as TcpServer } from 'node:net';

/**
 * process.getActiveResourcesInfo() names these whether they keep the event loop running or not; the handles below are
 * more exact.
 */
const unclear: ReadonlySet<string> = new Set([
  'IntervalHistogram',
  'PipeServerWrap',
  'PipeWrap',
  'TCPServerWrap',
  'TCPSocketWrap',
  'TTYWrap',
]);

/**
 * What keeps the event loop running besides servers that listen, by names such as `Timeout` and `Socket`; without
 * standard output, which never does. Null where this version of Node does not say.
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

/** A histogram of perf_hooks.monitorEventLoopDelay(): its timer does not keep the loop running. */
function isHistogram({ constructor: { name } }: object): boolean {
  return name.endsWith('Histogram');
}

/** tty.WriteStream and the sockets of process.stdout and process.stderr have their descriptor as `fd`. */
function isStandard(handle: object): boolean {
  const { fd } = handle as { fd?: unknown };
  return typeof fd === 'number' && fd >= 0 && fd <= 2;
}

/**
 * Runs a file as the main module (internal/modules/run_main.js), as `node <file>` does. Does nothing where this
 * version of Node does it in another way.
 */
export function runMainModule(file: string): void {
  const { runMain } = Module as unknown as { runMain?: (file: string) => void };
  if (typeof runMain === 'function') runMain(file);
}

/**
 * Makes process.stdout or process.stderr write to another descriptor from now on. That works where the stream is one
 * of a file, which reads its `fd` with each write (internal/fs/sync_write_stream.js). False: the stream is of another
 * kind, and stays as it is.
 */
export function pointStream(stream: object, fd: number): boolean {
  if (stream.constructor.name !== 'SyncWriteStream' || typeof Reflect.get(stream, 'fd') !== 'number')
    return false;
  return Reflect.set(stream, 'fd', fd);
}
