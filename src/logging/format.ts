import { fileURLToPath } from 'node:url';
import { scriptPath } from '../protocol/capture.js';
import { logLevels } from '../protocol/log-line.js';
import type { LogLevel } from '../settings/config.js';
import { printable } from './printable.js';

/** How an entry is laid out, once `auto` is decided. */
export type Layout = 'pretty' | 'journal' | 'json';
export type Level = (typeof logLevels)[number];

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
  const own = fieldsOf(entry, bindings);
  const { pairs, stacks } = keyValues(own, { stacks: 'apart' });
  const all = {
    MESSAGE: [inOneLine(entry, { pairs, bindings }), ...stacks.map((stack) => printableLines(stack))].join(
      '\n',
    ),
    PRIORITY: priorities[entry.level] ?? 6,
    SYSLOG_IDENTIFIER: 'rom-agent',
    ...codeFields(codePlace(own)),
    ...(typeof own.requestId === 'string' ? { REQUEST_ID: printable(own.requestId) } : {}),
    ...fields,
  };
  return Buffer.concat(Object.entries(all).map(([name, value]) => nativeField(name, String(value))));
}

/** systemd.journal-fields(7) */
function codeFields(place: CodePlace | null): JournalFields {
  if (place === null) return {};
  const { file, line, name } = place;
  return {
    CODE_FILE: printable(file),
    CODE_LINE: line,
    ...(name === null ? {} : { CODE_FUNC: printable(name) }),
  };
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

/** Something of each level. */
export function perLevel<Value>(make: (level: Level) => Value): Readonly<Record<Level, Value>> {
  return Object.fromEntries(logLevels.map((level) => [level, make(level)])) as Record<Level, Value>;
}

export function isEnabled(level: Level, least: LogLevel): boolean {
  return least !== 'silent' && logLevels.indexOf(level) >= logLevels.indexOf(least);
}

export interface KeyValue {
  readonly key: string;
  /** Quoted where it has to be. */
  readonly value: string;
}

export interface KeyValues {
  readonly pairs: readonly KeyValue[];
  /** Stacks that are to follow on lines of their own, as they are. */
  readonly stacks: readonly string[];
}

interface SerializedError {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly [field: string]: unknown;
}

/**
 * The fields of an entry as `key=value` pairs. Nested objects become dotted keys; arrays stay JSON. Of an
 * error `inline` makes one value out of the stack, `apart` hands the stack back beside the pairs; both fold it.
 */
export function keyValues(
  fields: Readonly<Record<string, unknown>>,
  { stacks: style }: { stacks: 'inline' | 'apart' },
): KeyValues {
  const pairs: KeyValue[] = [];
  const stacks: string[] = [];
  const add = (key: string, value: unknown): void => {
    if (value === undefined) return;
    if (isError(value)) addError(key, value);
    // Where the error itself is in another process.
    else if (key === 'stack' && typeof value === 'string') addStack(key, value);
    else if (isNested(value)) addAll(key, value);
    else pairs.push({ key, value: plain(value) });
  };
  const addStack = (key: string, stack: string, isMessage = false): void => {
    if (style === 'apart' && !isMessage) stacks.push(foldStack(stack));
    else pairs.push({ key, value: quoted(isMessage ? stack : stackOnOneLine(stack)) });
  };
  const addAll = (prefix: string, record: Readonly<Record<string, unknown>>): void => {
    for (const [key, value] of Object.entries(record)) add(`${prefix}.${cleanKey(key)}`, value);
  };
  const addError = (key: string, { type, message, stack, ...rest }: SerializedError): void => {
    addStack(key, stack || `${type}: ${message}`, stack === '');
    addAll(key, rest);
  };
  for (const [key, value] of Object.entries(fields)) add(cleanKey(key), value);
  return { pairs, stacks };
}

function plain(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  return printable(JSON.stringify(value) ?? String(value));
}

function quoted(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
  if (text !== '' && !/[\s"=\\\u0000-\u001f\u007f-\u009f]/.test(text)) return text;
  return `"${printable(text.replace(/[\\"]/g, '\\$&'))}"`;
}

function cleanKey(key: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
  return key === '' ? '_' : key.replace(/[\s"=\\\u0000-\u001f\u007f-\u009f]/g, '_');
}

function isNested(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
  );
}

function isError(value: unknown): value is SerializedError {
  if (!isNested(value)) return false;
  return [value.type, value.message, value.stack].every((part) => typeof part === 'string');
}

/**
 * A stack for people: of frames that are Node's own or a package's only the topmost stays, where the error was thrown; the
 * others are one line that counts them. Frames of this program are folded too, unless there is none but them: a bug.
 */
export function foldStack(stack: string): string {
  const lines = stack.split('\n');
  const isOwnBug = !lines.some((line) => frame.test(line) && whose(line) === null);
  const folded: string[] = [];
  let run: string[] = [];
  let isTop = true;
  const endRun = (): void => {
    if (run.length > 0) folded.push(`    … ${describe(run)}`);
    run = [];
  };
  for (const line of lines) {
    const isFrame = frame.test(line);
    const owner = isFrame ? whose(line) : null;
    if (!isTop && owner !== null && !(isOwnBug && owner === 'rom-agent')) {
      run.push(line);
      continue;
    }
    endRun();
    folded.push(line);
    // The message, or the next cause: the frame behind it is the topmost.
    isTop = !isFrame;
  }
  endRun();
  return folded.join('\n');
}

/** Where in the code an entry is about. */
interface CodePlace {
  readonly file: string;
  readonly line: number;
  readonly name: string | null;
}

/** Of the first error or stack among the fields: the topmost frame of the app; without one, of a package. */
function codePlace(fields: Readonly<Record<string, unknown>>): CodePlace | null {
  for (const [key, value] of Object.entries(fields)) {
    const stack = isError(value) ? value.stack : key === 'stack' && typeof value === 'string' ? value : null;
    if (stack !== null) return placeIn(stack.split('\n'));
  }
  return null;
}

function placeIn(lines: readonly string[]): CodePlace | null {
  const top = (owner: Owner | null) => lines.find((line) => frame.test(line) && whose(line) === owner);
  const [, name, place = '', line] = parts.exec(top(null) ?? top('node_modules') ?? '') ?? [];
  if (place === '') return null;
  return { file: scriptPath(place), line: Number(line), name: name ?? null };
}

/** The same on one line, as the journal takes an entry. */
export function stackOnOneLine(stack: string): string {
  return foldStack(stack)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' | ');
}

const frame = /^\s*at /;
/** `at async checkout (/srv/app/server.js:12:5)`, `at /srv/app/server.js:12:5`. */
const parts = /^\s*at (?:async )?(?:(.+?) \()?([^()]+):(\d+):\d+\)?$/;
const nodesOwn = /[( ]node:|\(<anonymous>\)$|\(index \d+\)$|\(native\)$/;
const ofPackage = /[\\/]node_modules[\\/]/;

type Owner = 'Node' | 'node_modules' | 'rom-agent';

/** null: the app. */
function whose(line: string): Owner | null {
  if (nodesOwn.test(line)) return 'Node';
  if (line.includes(ownFolder)) return 'rom-agent';
  return ofPackage.test(line) ? 'node_modules' : null;
}

/** Where this program is; packed or not, one folder above this file's. */
const ownFolder = fileURLToPath(new URL('..', import.meta.url));

function describe(run: readonly string[]): string {
  const owners = (['Node', 'node_modules', 'rom-agent'] as const).filter((owner) =>
    run.some((line) => whose(line) === owner),
  );
  return `${run.length} ${run.length === 1 ? 'frame' : 'frames'} of ${owners.join(' and ')}`;
}
