/** What `GET /api/info` answers: the process that took the connection. */
export interface Info {
  readonly name: string;
  readonly version: string;
  readonly pid: number;
  /** Number of the worker's slot, from 1; null: a spare. */
  readonly worker: number | null;
  /** Whole seconds since this process started. */
  readonly uptimeSeconds: number;
  /** Version of Node.js, `v20.19.0`. */
  readonly node: string;
  /** CPUs that this process may use. */
  readonly cpus: number;
  readonly mode: string;
  /** As of at most a second ago. */
  readonly memory: { readonly rssBytes: number; readonly heapUsedBytes: number };
}
