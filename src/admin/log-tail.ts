import { describeSource, type LogLine, type LogSource, type LogsLine } from '../protocol/log-line.js';

/** Reads all lines of a source, the last `lines` first, until the signal is aborted; rejects where it may not. */
export type ReadLog = (
  source: LogSource,
  options: { readonly lines: number; readonly follow: boolean; readonly signal: AbortSignal },
  onLine: (line: LogLine) => void,
) => Promise<void>;

export interface LogTailSeam {
  readonly read: ReadLog;
  readonly onLine: (line: LogLine) => void;
}

/**
 * The last lines of the log. Lines of workers and of the app do not pass through the master: the journal, or the files, are
 * read for them, but only while somebody looks. Where these may not be read the master's own lines have to do.
 */
export interface LogTail {
  lines(): readonly LogLine[];
  /** Where they come from, in words. */
  source(): string;
  /** The master says where the log is, or has written a line. */
  heard(line: LogsLine): void;
  watch(isWatched: boolean): void;
}

export const mostLines = 500;

export function createLogTail({ read, onLine }: LogTailSeam): LogTail {
  let source: LogSource | null = null;
  let own: LogLine[] = [];
  let all: LogLine[] = [];
  let reading: AbortController | null = null;
  /** Why only the master's own lines are there; null: the others are. */
  let onlyOwn: string | null = noSource;
  let watched = false;

  const show = (line: LogLine): void => {
    all = [...all.slice(1 - mostLines), line];
    onLine(line);
  };
  const stop = (): void => {
    reading?.abort();
    reading = null;
    all = [];
  };
  const fallBack = (reason: string): void => {
    reading = null;
    onlyOwn = reason;
    all = [];
    for (const line of own) show(line);
  };
  const start = (from: LogSource): void => {
    const controller = new AbortController();
    reading = controller;
    onlyOwn = null;
    read(from, { lines: mostLines, follow: true, signal: controller.signal }, (line) => {
      if (reading === controller) show(line);
    }).then(
      () => {
        if (reading === controller) fallBack('its reading has ended');
      },
      (error: unknown) => {
        if (reading === controller) fallBack(error instanceof Error ? error.message : String(error));
      },
    );
  };
  const turn = (): void => {
    if (source === null || source.kind === 'none') return;
    if (watched && reading === null) start(source);
    if (!watched && reading !== null) stop();
  };

  return {
    lines: () => (onlyOwn === null ? all : own),
    source: () => sourceInWords(source, onlyOwn),
    heard: (line) => {
      if (line.type === 'source') {
        // A daemon that was restarted tells its lines again.
        own = [];
        const isSame = JSON.stringify(source) === JSON.stringify(line.source);
        source = line.source;
        if (isSame && reading !== null) return;
        stop();
        onlyOwn = source.kind === 'none' ? noSource : null;
        turn();
        return;
      }
      own = [...own.slice(1 - mostLines), line.line];
      if (onlyOwn !== null) onLine(line.line);
    },
    watch: (isWatched) => {
      watched = isWatched;
      turn();
    },
  };
}

const noSource = 'standard output goes to a terminal or a pipe, which cannot be read again';

function sourceInWords(source: LogSource | null, onlyOwn: string | null): string {
  if (source === null) return 'unknown until the daemon answers';
  const place = describeSource(source);
  if (onlyOwn === null) return place;
  return source.kind === 'none'
    ? `the master's own lines: ${onlyOwn}`
    : `the master's own lines: ${place} cannot be read: ${onlyOwn}`;
}
