/** What `GET /api/info` answers: the process that took the connection. */
export interface Info {
  readonly name: string;
  readonly version: string;
  readonly pid: number;
  /** Number of the worker's slot, from 1; null: a spare. */
  readonly worker: number | null;
  /** Whole seconds since this process started. */
  readonly uptime: number;
  /** Version of Node.js, `v20.19.0`. */
  readonly node: string;
  /** CPUs that this process may use. */
  readonly cpus: number;
  readonly mode: string;
  /** Whole MiB. */
  readonly memory: { readonly rss: number; readonly heapUsed: number };
}
