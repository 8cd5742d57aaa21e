import type { LogLevel } from '../settings/config.js';
import { type KeyValues, keyValues } from './key-values.js';
import { printable } from './printable.js';

/** How an entry is laid out, once `auto` is decided. */
export type Layout = 'pretty' | 'journal' | 'json';
export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** An entry as pino wrote it and JSON.parse read it back. */
export interface Entry {
  readonly level: Level;
  /** ISO 8601 */
  readonly time: string;
  readonly pid: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface FormatOptions {
  /** What every line of this process bears, such as `{ worker: 2 }` or `{ role: 'master' }`. */
  readonly bindings: Readonly<Record<string, unknown>>;
  readonly colour: boolean;
}

/** sd-daemon(3), syslog(3) */
export const priorities: Readonly<Record<Level, number>> = {
  trace: 7,
  debug: 7,
  info: 6,
  warn: 4,
  error: 3,
  fatal: 2,
};

/** journald splits what is longer than LineMax= (48K, journald.conf(5)), and the rest would lose its priority. */
const JOURNAL_MAX = 48_000;
const RESET = '\x1b[0m';
const DIM = '\x1b[2m';
const BOLD = '\x1b[1m';
const CYAN = '\x1b[36m';
const levelColours: Readonly<Record<Level, string>> = {
  trace: '\x1b[90m',
  debug: '\x1b[34m',
  info: '\x1b[32m',
  warn: '\x1b[33m',
  error: '\x1b[31m',
  fatal: '\x1b[1;31m',
};

/** One line for the journal: priority, message, fields, who wrote it; no time, for the journal has its own. */
export function formatJournal(entry: Entry, { bindings }: Pick<FormatOptions, 'bindings'>): string {
  const { pairs } = keyValues(fieldsOf(entry, bindings), { stacks: 'inline' });
  return `<${priorities[entry.level] ?? 6}>${shorten(inOneLine(entry, { pairs, bindings }))}\n`;
}

/** Names of the native protocol's fields beside those that each entry has: `ROM_WORKER`, say. */
export type JournalFields = Readonly<Record<string, string | number>>;

/**
 * An entry in journald's native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL): the text is that of the line, but
 * stacks follow on lines of their own.
 */
export function formatNative(
  entry: Entry,
  { bindings, fields }: Pick<FormatOptions, 'bindings'> & { readonly fields: JournalFields },
): Buffer {
  const { pairs, stacks } = keyValues(fieldsOf(entry, bindings), { stacks: 'apart' });
  const all = {
    MESSAGE: [inOneLine(entry, { pairs, bindings }), ...stacks.map((stack) => printableLines(stack))].join(
      '\n',
    ),
    PRIORITY: priorities[entry.level] ?? 6,
    SYSLOG_IDENTIFIER: 'rom-agent',
    ...fields,
  };
  return Buffer.concat(Object.entries(all).map(([name, value]) => nativeField(name, String(value))));
}

/** A value of several lines is told by its length, 64 bits little-endian. */
function nativeField(name: string, value: string): Buffer {
  if (!value.includes('\n')) return Buffer.from(`${name}=${value}\n`);
  const text = Buffer.from(value);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, text, Buffer.from('\n')]);
}

/** Message, fields, who wrote it. */
function inOneLine(
  entry: Entry,
  { pairs, bindings }: Pick<FormatOptions, 'bindings'> & Pick<KeyValues, 'pairs'>,
): string {
  const own = [...keyValues(bindings, { stacks: 'inline' }).pairs, { key: 'pid', value: String(entry.pid) }];
  const fields = [...pairs, ...own].map(({ key, value }) => `${key}=${value}`);
  return [printable(entry.msg), ...fields].join(' ');
}

/** A line for people: local time, level, worker, PID, message, fields; stacks follow, indented. */
export function formatPretty(entry: Entry, { bindings, colour }: FormatOptions): string {
  const paint = (code: string, text: string) => (colour && code !== '' ? `${code}${text}${RESET}` : text);
  const { pairs, stacks } = keyValues(fieldsOf(entry, bindings), { stacks: 'apart' });
  const head = [
    paint(DIM, localTime(entry.time)),
    paint(levelColours[entry.level] ?? '', entry.level.toUpperCase().padEnd(5)),
    paint(CYAN, `${author(bindings)} ${entry.pid}`),
    paint(entry.level === 'fatal' ? BOLD : '', indent(entry.msg)),
    ...pairs.map(({ key, value }) => `${paint(DIM, `${key}=`)}${value}`),
  ].join(' ');
  const tail = stacks.map((stack) => `    ${paint(DIM, indent(stack))}`);
  return `${[head, ...tail].join('\n')}\n`;
}

function fieldsOf(entry: Entry, bindings: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { level: _level, time: _time, pid: _pid, msg: _msg, ...fields } = entry;
  return Object.fromEntries(Object.entries(fields).filter(([key]) => !(key in bindings)));
}

function author(bindings: Readonly<Record<string, unknown>>): string {
  if ('worker' in bindings) return `worker ${printable(String(bindings.worker))}`;
  return printable(String(bindings.role ?? 'rom-agent'));
}

/** Keeps line breaks, and nothing else that could steer a terminal. @param margin of all lines but the first */
function printableLines(text: string, margin = ''): string {
  return text.split(/\r?\n/).map(printable).join(`\n${margin}`);
}

function indent(text: string): string {
  return printableLines(text, '    ');
}

function localTime(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return printable(iso);
  const pad = (value: number, width: number) => String(value).padStart(width, '0');
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => pad(part, 2)).join(':');
  return `${clock}.${pad(date.getMilliseconds(), 3)}`;
}

function shorten(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= JOURNAL_MAX) return text;
  // A character that was cut in two ends as U+FFFD, which is taken off.
  return `${bytes
    .subarray(0, JOURNAL_MAX)
    .toString()
    .replace(/\uFFFD$/, '')}…`;
}

export const levels: readonly Level[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

export function isEnabled(level: Level, least: LogLevel): boolean {
  return least !== 'silent' && levels.indexOf(level) >= levels.indexOf(least);
}
