import { stripVTControlCharacters, styleText } from 'node:util';
import type { ControlClient } from '../control/client.js';
import { exitCodes, RomAgentError } from '../errors.js';
import { printable } from '../logging/printable.js';
import type { ReloadRecord } from '../protocol/reload-record.js';

export type Colour = 'green' | 'yellow' | 'red' | 'bold' | 'dim';

/** Where a command speaks. */
export interface Terminal {
  /** Lines to standard output. What is foreign in them has gone through `plain`. */
  readonly print: (text: string) => void;
  /** A document to standard output, on one line or laid out for people. */
  readonly printJson: (value: unknown, form: 'line' | 'pretty') => void;
  /** Takes back so many lines: cursor up, then everything below it cleared (CUU and ED of ECMA-48). */
  readonly erase: (lines: number) => void;
  /** To standard error, one sentence. */
  readonly warn: (sentence: string) => void;
  /** Whether standard output is a terminal. */
  readonly interactive: boolean;
  /** At this moment: windows are resized. */
  readonly columns: () => number;
  readonly rows: () => number;
  /** Whether it shows more than ASCII, by the variables of its locale. */
  readonly unicode: boolean;
  /** A screen of its own, which is left as it was; null where standard output is no terminal. */
  readonly openScreen: () => Screen | null;
  readonly paint: (colour: Colour, text: string) => string;
  /** Aborted when nobody reads standard output any more. */
  readonly readerGone: AbortSignal;
}

/** The alternate screen of a terminal (DECSET 1049 of xterm), without a cursor, and its keyboard without echo. */
export interface Screen {
  /** Takes the place of what is there. */
  readonly draw: (text: string) => void;
  /** Each key as it is pressed; Ctrl-C, too, is one: `\x03`. */
  readonly onKey: (listener: (key: string) => void) => void;
  readonly close: () => void;
}

/** Standard output and standard error of this process. Colours: on a terminal, unless NO_COLOR is set (no-color.org). */
export function openTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  const gone = new AbortController();
  onReaderGone(() => gone.abort());
  stderr.on('error', () => {});
  const interactive = stdout.isTTY === true;
  const colours = interactive && !env.NO_COLOR && env.TERM !== 'dumb';
  return {
    print: (text) => writeOut(text, { colours }),
    printJson: (value, form) => void stdout.write(`${toJson(value, form === 'pretty' ? 2 : undefined)}\n`),
    erase: (lines) => void stdout.write(`\x1b[${lines}A\r\x1b[J`),
    warn: complain,
    interactive,
    // A terminal that does not know its width says 0.
    columns: () => stdout.columns || 80,
    rows: () => stdout.rows || 24,
    unicode: showsUnicode(env),
    openScreen: () => (interactive && env.TERM !== 'dumb' ? openScreen({ colours }) : null),
    paint: (colour, text) => (colours ? styleText(colour, text, { validateStream: false }) : text),
    readerGone: gone.signal,
  };
}

function openScreen({ colours }: { readonly colours: boolean }): Screen {
  const { stdin, stdout } = process;
  const keyboard = stdin.isTTY;
  const leave = (): void => {
    stdout.write('\x1b[?25h\x1b[?1049l');
    if (keyboard) stdin.setRawMode(false);
  };
  stdout.write('\x1b[?1049h\x1b[?25l');
  if (keyboard) stdin.setRawMode(true);
  process.once('exit', leave);
  return {
    // Each line clears what is behind it, and the last one what is below: nothing flickers.
    draw: (text) => {
      const shown = guarded(text.replace(/\n$/, ''), { colours }).replaceAll('\n', '\x1b[K\r\n');
      stdout.write(`\x1b[H${shown}\x1b[K\x1b[J`);
    },
    onKey: (listener) => {
      if (keyboard) stdin.setEncoding('utf8').on('data', (text) => listener(String(text)));
    },
    close: () => {
      process.off('exit', leave);
      leave();
      stdin.pause();
    },
  };
}

/** Whether the terminal shows UTF-8, by the locale's variables in the order of setlocale(3). */
export function showsUnicode(env: Readonly<Record<string, string | undefined>>): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  // The console of Linux has no glyphs for most of the blocks.
  return /utf-?8/i.test(locale) && env.TERM !== 'linux';
}

/** The two places by which text leaves a command; JSON, which is escaped as JSON, and the cursor apart. */
export function writeOut(text: string, { colours = false } = {}): void {
  process.stdout.write(guarded(text, { colours }));
}

export function writeError(text: string): void {
  process.stderr.write(guarded(text));
}

/** A sentence, or a few lines of them, to standard error. */
export function complain(text: string): void {
  writeError(`rom-agent: ${text}\n`);
}

/** Calls back once what was printed is out. */
export function whenPrinted(callback: () => void): void {
  process.stdout.write('', callback);
}

/** The last to see a text: nothing but line breaks, and colours where we paint, gets to the terminal. */
export function guarded(text: string, { colours = false } = {}): string {
  if (!colours) return lines(text);
  return text
    .split(painted)
    .map((part, index) => (index % 2 === 1 ? part : lines(part)))
    .join('');
}

/** A pipe whose reader ended (`| head`) is no failure; without a listener Node would end with a stack. */
export function onReaderGone(callback: () => void = () => {}): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return callback();
    process.stderr.write(`rom-agent: standard output cannot be written: ${error.message}\n`);
    process.exit(exitCodes.cannotCreate);
  });
}

/**
 * Everything that a person is shown of workers, clients, records and errors of apps comes through here: what could steer
 * a terminal, or make one line look like two, is escaped.
 */
export function plain<T>(value: T): T {
  return escaped(value, null) as T;
}

/** A value as JSON that is safe to look at: the same document, with escapes where a terminal would act on a character. */
export function toJson(value: unknown, indent?: number): string {
  // Outside of strings JSON has no such character but the line break, which is ours.
  return lines(JSON.stringify(value, null, indent));
}

/** The client with all that it hands over made plain, its errors included. */
export function plainClient(client: ControlClient): ControlClient {
  const entries = Object.entries(client).map(([name, method]) => [name, plainMethod(method as Method)]);
  return Object.fromEntries(entries) as ControlClient;
}

/** Rows as lines of aligned columns; those named in `right` (from 0) end together. Colours take no width. */
export function table(
  rows: readonly (readonly string[])[],
  { right = [] }: { readonly right?: readonly number[] } = {},
): string {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => visible(row[column] ?? ''))),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const space = ' '.repeat((widths[column] ?? 0) - visible(cell));
        return right.includes(column) ? `${space}${cell}` : `${cell}${space}`;
      })
      .join('  ')
      .trimEnd();
  return rows.map((row) => `${line(row)}\n`).join('');
}

/** How many lines of a terminal a text takes, those that wrap counted as often as they do. */
export function height(text: string, columns: number): number {
  const lines = text.replace(/\n$/, '').split('\n');
  return lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(visible(line) / columns)), 0);
}

/** `1.2 s`, `3 min 5 s`, `2 h 5 min`, `4 d 2 h`. */
export function span(ms: number): string {
  if (ms < 60_000) return `${Math.round(ms / 100) / 10} s`;
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (minutes < 60) return pair(minutes, 'min', seconds % 60, 's');
  if (hours < 48) return pair(hours, 'h', minutes % 60, 'min');
  return pair(days, 'd', hours % 24, 'h');
}

/** Wall clock, ms since 1970, in the time zone of who reads it: `2026-11-23 12:00:03`. */
export function moment(ms: number): string {
  const at = new Date(ms);
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('-');
  return `${date} ${timeOfDay(ms)}`;
}

/** `12:00:03` */
export function timeOfDay(ms: number): string {
  const at = new Date(ms);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':');
}

/** Bytes as `61 MiB`. */
export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

/** What came of a reload, in a word or two. */
export function verdictOf({ verdict }: ReloadRecord): { readonly text: string; readonly colour: Colour } {
  switch (verdict) {
    case 'done':
      return { text: 'done', colour: 'green' };
    case 'rolled-back':
      return { text: 'rolled back', colour: 'red' };
    case 'superseded':
      return { text: 'superseded', colour: 'red' };
    case 'stopped':
      return { text: 'stopped', colour: 'red' };
    case null:
      return { text: 'in progress', colour: 'yellow' };
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: SGR of ECMA-48, as `paint` writes it
const painted = /(\x1b\[\d{1,2}m)/;

type Method = (...given: unknown[]) => Promise<unknown>;

function plainMethod(method: Method): Method {
  return async (...given) => {
    const listening = given.map((argument) =>
      typeof argument === 'function' ? (told: unknown) => argument(plain(told)) : argument,
    );
    try {
      return plain(await method(...listening));
    } catch (error) {
      throw plainError(error);
    }
  };
}

function plainError(error: unknown): unknown {
  if (!(error instanceof RomAgentError)) return error;
  const message = printable(error.message);
  if (message === error.message) return error;
  return new RomAgentError(message, { exitCode: error.exitCode, cause: error });
}

function escaped(value: unknown, key: string | null): unknown {
  if (typeof value === 'string') return key === 'stack' ? lines(value) : printable(value);
  if (Array.isArray(value)) return value.map((item) => escaped(item, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [printable(name), escaped(inner, name)]),
  );
}

/** Keeps the line breaks. */
function lines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

function visible(text: string): number {
  return stripVTControlCharacters(text).length;
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
