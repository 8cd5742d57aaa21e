export interface SocketIoAdapterOptions {
  /** How often each worker says that it is there, ms: 5,000. */
  readonly heartbeatInterval?: number;
  /** A worker that says nothing for so long is left out of what is asked of all, ms: 10,000. */
  readonly heartbeatTimeout?: number;
}

/**
 * An adapter for Socket.IO 4.7 or later: rooms, broadcasts, fetchSockets and serverSideEmit reach the clients of all workers,
 * and of all hosts where Redis connects these. `new Server(server, { adapter: socketIoAdapter() })`
 */
export declare function socketIoAdapter(options?: SocketIoAdapterOptions): (namespace: object) => never;
