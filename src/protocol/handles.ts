/** A connection below net.Socket: Node's TCP or Pipe wrap, which `process.send` passes on as it is. */
export interface RawHandle {
  close(): void;
  readStop(): number;
}

/** What came with a message: Node says null where it was lost on its way, and undefined where there never was any. */
export function handleOf(connection: unknown): RawHandle | undefined {
  return (connection ?? undefined) as RawHandle | undefined;
}

/**
 * What node:cluster's question for a listening socket carries when the worker has had that socket before and has closed
 * its copy for a while. The question is for port 0, which alone makes node:cluster keep each answer under a key of its
 * own (Node 20 to 26); the port is in the `flags`, above the bits of libuv (uv_tcp_flags).
 */
const mark = 1 << 30;
const shift = 8;

/** @param port of the socket, or 0 for a path or a descriptor */
export function listenAgainFlags(port: number): number {
  return mark | (port << shift);
}

/** The port, or 0 for a path; null where the question is an ordinary one. */
export function portToListenAgain(flags: number): number | null {
  return (flags & mark) === 0 ? null : (flags & ~mark) >> shift;
}
