/** The least severe first. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

/** A line of the log, wherever it was read. */
export interface LogLine {
  /** Wall clock, ms since 1970. */
  readonly atMs: number;
  readonly level: (typeof logLevels)[number];
  /** Number of the worker that wrote it, or that the master speaks of; null: neither, or unknown. */
  readonly worker: number | null;
  readonly pid: number | null;
  /** `app`: what the app printed, or systemd about its unit. */
  readonly from: 'master' | 'worker' | 'app';
  readonly message: string;
  /** Empty for lines that the app wrote. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * Where all lines of the service are: those of the master, of the workers and of the app. `journal`: of this unit, null
 * where it could not be found out; `file`: standard output is this file; `folder`: daily files, in which the app's own
 * output is missing; `none`: a terminal or a pipe, from which nobody can read again.
 */
export type LogSource =
  | { readonly kind: 'journal'; readonly unit: string | null; readonly ofUser: boolean }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'none' };

/** In words, as in "the log is in ...". */
export function describeSource(source: LogSource): string {
  switch (source.kind) {
    case 'journal':
      return source.unit === null ? 'the journal' : `the journal of ${source.unit}`;
    case 'file':
      return source.path;
    case 'folder':
      return `the daily files in ${source.path}, without what the app prints`;
    case 'none':
      return 'standard output';
  }
}

/** So many of its own lines can be asked of the master. */
export const mostLogLines = 10_000;

/**
 * What `GET /v1/logs` sends, a line each: where the log is, and how many of the master's own lines come before those that
 * it writes from now on; then these lines, oldest first.
 */
export type LogsLine =
  | { readonly type: 'source'; readonly source: LogSource; readonly lines: number }
  | { readonly type: 'line'; readonly line: LogLine };
