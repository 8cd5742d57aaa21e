import { createRequire } from 'node:module';
import { createDailyFile } from './daily-file.js';
import { openDevice } from './device.js';
import { type Entry, formatJournal, formatNative, formatPretty, type Layout, type Level } from './format.js';
import { isJournal, wantsColour } from './layout.js';
import type { Fields, LogOptions } from './log.js';
import { createSink, type Sink } from './sink.js';

/** pino takes 20 ms to load, which is not to be on the way to readiness: it comes with the first line. */
const loadPino = (): typeof import('pino') => createRequire(import.meta.url)('pino');

/** The half of the log that is made for its first line: pino, and the ways out of it. */
export interface Writer {
  write(level: Level, message: string, fields?: Fields): void;
  flush(): void;
  drained(): Promise<void>;
  dropped(): number;
}

export type WriterOptions = LogOptions &
  Required<Pick<LogOptions, 'stdout' | 'env' | 'clock'>> & { readonly layout: Layout };

type Warn = (message: string, fields: Fields) => void;

const ownFields: readonly string[] = ['level', 'time', 'pid', 'msg'];

export function openWriter(options: WriterOptions): Writer {
  const taken = new Set([...ownFields, ...Object.keys(options.bindings)]);
  const write = (level: Level, message: string, fields: Fields = {}): void => {
    current = fields;
    logger[level](ownNames(fields, taken), message);
  };
  const warn: Warn = (message, fields) => write('warn', message, fields);
  const out = openStdout(options, warn);
  const file = openFile(options, warn);
  const render = renderer(options);
  const sendNative = nativeSender(options);
  let current: Fields = {};
  const logger = createLogger(options, (line) => {
    if (!sendNative(line, current)) out.write(render(line));
    file?.write(line);
  });
  return {
    write,
    flush() {
      out.flush();
      file?.flush();
    },
    drained: async () => {
      await Promise.all([out.drained(), file?.drained()]);
    },
    dropped: () => out.dropped() + (file?.dropped() ?? 0),
  };
}

function createLogger({ config, bindings, clock }: WriterOptions, write: (line: string) => void) {
  return loadPino()(
    {
      level: config.level,
      base: { pid: process.pid, ...bindings },
      timestamp: () => `,"time":"${new Date(clock()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
}

function openStdout({ stdout, maxBytes }: WriterOptions, warn: Warn): Sink {
  return createSink({
    device: openDevice(stdout),
    ...(maxBytes === undefined ? {} : { maxBytes }),
    onRecovered: (lost) => warn('standard output was blocked, log lines were lost', { lost }),
  });
}

function openFile({ config: { dir }, clock, maxBytes }: WriterOptions, warn: Warn): Sink | null {
  if (dir === null) return null;
  return createDailyFile({
    dir,
    clock,
    ...(maxBytes === undefined ? {} : { maxBytes }),
    onTrouble: (err) => warn('log file cannot be written, trying again', { dir, err }),
    onRecovered: (lost) => warn('log file is written again, lines were lost in it', { dir, lost }),
  });
}

function renderer({ layout, bindings, stdout, env }: WriterOptions): (line: string) => string {
  if (layout === 'json') return (line) => line;
  const format = layout === 'journal' ? formatJournal : formatPretty;
  const look = { bindings, colour: layout === 'pretty' && wantsColour({ fd: stdout.fd, env }) };
  return (line) => format(JSON.parse(line) as Entry, look);
}

/** Sends a line of JSON to journald itself; false where it is to be written to standard output. */
function nativeSender({ layout, bindings, stdout, env, journal }: WriterOptions) {
  const send = layout === 'journal' && isJournal(stdout.fd, env) ? (journal?.open() ?? null) : null;
  return (line: string, fields: Fields): boolean =>
    send?.(formatNative(JSON.parse(line) as Entry, { bindings, fields: journal?.subject(fields) ?? {} })) ??
    false;
}

/** A field named as one of the line's own (the `pid` of another process, say) gets an underscore: JSON knows no two. */
function ownNames(fields: Fields, taken: ReadonlySet<string>): Record<string, unknown> {
  // The field `err` is pino's to serialize.
  const value = (key: string, given: unknown) =>
    given instanceof Error && key !== 'err' ? loadPino().stdSerializers.err(given) : given;
  return Object.fromEntries(
    Object.entries(fields).map(([key, given]) => [taken.has(key) ? `${key}_` : key, value(key, given)]),
  );
}
