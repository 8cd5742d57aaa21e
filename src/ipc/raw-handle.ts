/** A connection below net.Socket: Node's TCP or Pipe wrap, which `process.send` passes on as it is. */
export interface RawHandle {
  close(): void;
  readStop(): number;
}
