import type { LogConfig } from '../settings/config.js';
import { isEnabled, type JournalFields, type Layout, type Level, levels } from './format.js';
import { chooseLayout } from './layout.js';
import type { Output } from './output-file.js';
import { openWriter, type Writer } from './writer.js';

export type Fields = Readonly<Record<string, unknown>>;
type Write = (message: string, fields?: Fields) => void;

/** Log calls never throw and never wait. An Error among the fields is written with its stack and causes. */
export interface Log extends Readonly<Record<Level, Write>> {
  /** Writes what still waits, for an exit; returns within about 250 ms a destination. */
  flush(): void;
  /** Resolves when no write is out any more, after a second at most: flush() takes an old one for blocked. */
  drained(): Promise<void>;
  readonly format: Layout;
  /** Lines lost so far, on standard output and in the file together. */
  dropped(): number;
}

export interface LogOptions {
  readonly config: LogConfig;
  /** In every line: `{ worker: 2 }`, or `{ role: 'master' }`. The PID is added. */
  readonly bindings: Readonly<Record<string, string | number>>;
  readonly stdout?: Output;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Without it, and where it cannot be opened, the journal gets lines on standard output. */
  readonly journal?: JournalOptions;
  /** Milliseconds since the epoch. */
  readonly clock?: () => number;
  /** Bytes of lines that may wait for a destination. */
  readonly maxBytes?: number;
}

/**
 * journald's native protocol, in which an entry has several lines and fields of its own. For a process that outlives its
 * entries: journald finds the unit of an entry in /proc, unless it knows the process from its standard output.
 */
export interface JournalOptions {
  /** What sends an entry, or says that it was not taken; null: there is no way to send one. */
  readonly open: () => ((entry: Buffer) => boolean) | null;
  /** What an entry with these fields is about. */
  readonly subject: (fields: Fields) => JournalFields;
}

/** Opens nothing, and does not load pino, before the first line that is to be written. */
export function createLog(options: LogOptions): Log {
  const { config, stdout = { fd: 1 }, env = process.env, clock = Date.now } = options;
  const layout = chooseLayout(config.format, { fd: stdout.fd, env });
  let writer: Writer | null = null;
  const write = (level: Level, message: string, fields?: Fields): void => {
    writer ??= openWriter({ ...options, stdout, env, clock, layout });
    writer.write(level, message, fields);
  };
  const at = (level: Level): Write =>
    isEnabled(level, config.level) ? (message, fields) => write(level, message, fields) : () => {};
  return {
    ...(Object.fromEntries(levels.map((level) => [level, at(level)])) as Record<Level, Write>),
    format: layout,
    flush: () => writer?.flush(),
    drained: async () => writer?.drained(),
    dropped: () => writer?.dropped() ?? 0,
  };
}
