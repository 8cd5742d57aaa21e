import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogConfig } from '../settings/config.js';
import { createDailyFile } from './daily-file.js';
import { openDevice } from './device.js';
import {
  type Entry,
  formatJournal,
  formatNative,
  formatPretty,
  isEnabled,
  type Layout,
  type Level,
  perLevel,
} from './format.js';
import type { Journal } from './journal.js';
import { chooseLayout, isJournal, wantsColour } from './layout.js';
import type { Output } from './output-file.js';
import { createSink, pause, type Sink } from './sink.js';

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
  readonly journal?: Journal;
  /** Milliseconds since the epoch. */
  readonly clock?: () => number;
  /** Bytes of lines that may wait for a destination. */
  readonly maxBytes?: number;
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
    ...perLevel(at),
    format: layout,
    flush: () => writer?.flush(),
    drained: async () => writer?.drained(),
    dropped: () => writer?.dropped() ?? 0,
  };
}

/** pino takes 20 ms to load, which is not to be on the way to readiness: it comes with the first line. */
const loadPino = (): typeof import('pino') => createRequire(import.meta.url)('pino');

/** The half of the log that is made for its first line: pino, and the ways out of it. */
interface Writer {
  write(level: Level, message: string, fields?: Fields): void;
  flush(): void;
  drained(): Promise<void>;
  dropped(): number;
}

export type WriterOptions = LogOptions &
  Required<Pick<LogOptions, 'stdout' | 'env' | 'clock'>> & { readonly layout: Layout };

type Warn = (message: string, fields: Fields) => void;

const ownFields: readonly string[] = ['level', 'time', 'pid', 'msg'];

function openWriter(options: WriterOptions): Writer {
  const taken = new Set([...ownFields, ...Object.keys(options.bindings)]);
  const write = (level: Level, message: string, fields: Fields = {}): void => {
    current = fields;
    logger[level](ownNames(fields, taken), message);
  };
  const warn: Warn = (message, fields) => write('warn', message, fields);
  const out = openStdout(options, warn);
  const file = openFile(options, warn);
  const render = renderer(options);
  const native = openNative(options);
  let current: Fields = {};
  const logger = createLogger(options, (line) => {
    if (!native.send(line, current)) out.write(render(line));
    file?.write(line);
  });
  return {
    write,
    flush() {
      out.flush();
      file?.flush();
      for (const end = performance.now() + readLimit; native.hasUnread() && performance.now() < end; )
        pause(1);
    },
    drained: async () => {
      await Promise.all([out.drained(), file?.drained(), read(native)]);
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

interface Native {
  /** Sends a line of JSON to journald itself; false where it is to be written to standard output. */
  send(line: string, fields: Fields): boolean;
  hasUnread(): boolean;
}

function openNative({ layout, bindings, stdout, env, journal }: WriterOptions): Native {
  const sender = layout === 'journal' && isJournal(stdout.fd, env) ? (journal?.open() ?? null) : null;
  if (sender === null) return { send: () => false, hasUnread: () => false };
  return {
    send: (line, given) => {
      const fields = journal?.subject(given) ?? {};
      return sender.send(formatNative(JSON.parse(line) as Entry, { bindings, fields }));
    },
    hasUnread: () => sender.hasUnread(),
  };
}

/** How long journald may take to read what is left at an exit, ms. */
const readLimit = 250;

/** Resolves once journald has read what was sent, or does not get on. */
async function read(native: Native): Promise<void> {
  const end = performance.now() + readLimit;
  while (native.hasUnread() && performance.now() < end) await sleep(1);
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
