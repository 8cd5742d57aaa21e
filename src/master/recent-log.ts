import { isEnabled, type Level, perLevel } from '../logging/format.js';
import type { LazyLog } from '../logging/lazy-log.js';
import type { Fields } from '../logging/log.js';
import type { LogLine } from '../protocol/log-line.js';
import type { LogLevel } from '../settings/config.js';

/** The master's own last lines, for those who ask at the control socket. */
export interface RecentLog {
  /** Writes as the one that it was made of, and remembers. */
  readonly log: LazyLog;
  /** Oldest first. */
  lines(): readonly LogLine[];
  /** @returns what ends it */
  follow(listener: (line: LogLine) => void): () => void;
}

export interface RecentLogSeam {
  readonly log: LazyLog;
  readonly level: LogLevel;
  /** The fields of the worker that an entry is about. */
  readonly subject: (fields: Fields) => Readonly<Record<string, unknown>>;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  /** Characters of JSON that are kept. */
  readonly room?: number;
}

export function createRecentLog({ log, level, subject, clock, room = 256 * 1024 }: RecentLogSeam): RecentLog {
  // As text: it costs what it says, and nobody can change it afterwards.
  const kept: string[] = [];
  const listeners = new Set<(line: LogLine) => void>();
  let size = 0;

  const remember = (at: Level, message: string, fields: Fields = {}): void => {
    const { worker = subject(fields).ROM_WORKER } = fields;
    const line: LogLine = {
      atMs: clock(),
      level: at,
      worker: typeof worker === 'number' ? worker : null,
      pid: process.pid,
      from: 'master',
      message,
      fields,
    };
    const text = textOf(line);
    kept.push(text);
    size += text.length;
    while (size > room && kept.length > 1) size -= kept.shift()?.length ?? 0;
    if (listeners.size === 0) return;
    const parsed = JSON.parse(text) as LogLine;
    for (const listener of listeners) listener(parsed);
  };
  const at =
    (level_: Level): LazyLog[Level] =>
    (message, fields) => {
      log[level_](message, fields);
      if (isEnabled(level_, level)) remember(level_, message, fields);
    };
  return {
    log: {
      ...perLevel(at),
      get format() {
        return log.format;
      },
      flush: () => log.flush(),
      close: () => log.close(),
    },
    lines: () => kept.map((text) => JSON.parse(text) as LogLine),
    follow: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** Characters of one line's fields; a stack may be long, a heap is not to be. */
const longestFields = 8 * 1024;

/** Never throws: a log call does not. */
function textOf(line: LogLine): string {
  try {
    const fields = JSON.stringify(line.fields, asText);
    if (fields.length <= longestFields) return JSON.stringify({ ...line, fields: JSON.parse(fields) });
  } catch {}
  return JSON.stringify({ ...line, fields: {} });
}

function asText(_key: string, value: unknown): unknown {
  if (value instanceof Error) return value.stack ?? String(value);
  return typeof value === 'bigint' ? String(value) : value;
}
