import { writeSync } from 'node:fs';
import { isEnabled, type Level, perLevel } from './format.js';
import { chooseLayout } from './layout.js';
import type { Fields, Log, LogOptions } from './log.js';

/** A log that costs nothing until its first line, which makes it load: that is not to be on the way to readiness. */
export interface LazyLog extends Pick<Log, Level | 'format'> {
  /** Writes what still waits, as far as the log is loaded: for the very end of a process. */
  flush(): void;
  /** Loads the log if there is anything to write, and flushes it: for an exit in good order. */
  close(): Promise<void>;
}

type Line = readonly [level: Level, message: string, fields: Fields | undefined];

/** @param load imports log.js; a seam, so that nothing is loaded in tests */
export function lazyLog(
  options: LogOptions,
  load: () => Promise<Pick<typeof import('./log.js'), 'createLog'>> = () => import('./log.js'),
): LazyLog {
  const { config, stdout = { fd: 1 }, env = process.env } = options;
  const waiting: Line[] = [];
  let log: Log | null = null;
  let loading: Promise<void> | null = null;

  const open = async (): Promise<void> => {
    try {
      const { createLog } = await Promise.resolve().then(load);
      log = createLog(options);
    } catch (error) {
      // No descriptors are left, or an upgrade has replaced the files: a plain line is better than none.
      return plain(['error', `the log cannot be loaded: ${String(error)}`, undefined], ...waiting.splice(0));
    }
    for (const [level, message, fields] of waiting.splice(0)) log[level](message, fields);
  };
  const plain = (...lines: readonly Line[]): void => {
    // The next line tries again.
    loading = null;
    for (const [level, msg, fields] of lines) {
      const entry = {
        level,
        time: new Date().toISOString(),
        pid: process.pid,
        ...options.bindings,
        ...fields,
        msg,
      };
      try {
        writeSync(stdout.fd, `${JSON.stringify(entry, plainError)}\n`);
      } catch {}
    }
  };
  const write = (...line: Line): void => {
    const [level, message, fields] = line;
    if (!isEnabled(level, config.level)) return;
    if (log !== null) return log[level](message, fields);
    waiting.push(line);
    loading ??= open();
  };
  const at = (level: Level) => (message: string, fields?: Fields) => write(level, message, fields);
  return {
    ...perLevel(at),
    get format() {
      return chooseLayout(config.format, { fd: stdout.fd, env });
    },
    flush: () => log?.flush(),
    close: async () => {
      await loading;
      await log?.drained();
      log?.flush();
    },
  };
}

function plainError(_key: string, value: unknown): unknown {
  return value instanceof Error ? value.stack : value;
}
