import type { Level } from './format.js';
import { chooseLayout } from './layout.js';
import { isEnabled } from './levels.js';
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
    const { createLog } = await load();
    log = createLog(options);
    for (const [level, message, fields] of waiting.splice(0)) log[level](message, fields);
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
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    get format() {
      return chooseLayout(config.format, { fd: stdout.fd, env });
    },
    flush: () => log?.flush(),
    close: async () => {
      await loading;
      log?.flush();
    },
  };
}
