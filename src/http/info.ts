/** What `GET /api/info` answers: the process that took the connection. */
export interface Info {
  readonly name: string;
  readonly version: string;
  readonly pid: number;
  /** Number of the worker's slot, from 1. */
  readonly worker: number;
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

/** Length of the body of /api/info in bytes, or a multiple of it where names are unusually long. */
export const INFO_BYTES = 512;

/**
 * JSON and a newline, filled up with spaces to a fixed length: load tools such as ab take an answer whose
 * length differs from the first one's for a failed request, and a pid or an uptime gains digits.
 */
export function renderInfo(info: Info): string {
  const json = JSON.stringify(info);
  const bytes = Buffer.byteLength(json) + 1;
  const wanted = Math.ceil(bytes / INFO_BYTES) * INFO_BYTES;
  return `${json}${' '.repeat(wanted - bytes)}\n`;
}
