/** A connection below net.Socket: Node's TCP or Pipe wrap, which `process.send` passes on as it is. */
export interface RawHandle {
  close(): void;
  readStop(): number;
}

/** What came with a message: Node says null where it was lost on its way, and undefined where there never was any. */
export function handleOf(connection: unknown): RawHandle | undefined {
  return (connection ?? undefined) as RawHandle | undefined;
}
