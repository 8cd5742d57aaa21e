import { styleText } from 'node:util';
import { exitCodes } from '../errors.js';
import { printable } from '../logging/printable.js';
import { toJson } from './foreign.js';

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
  readonly paint: (colour: Colour, text: string) => string;
  /** Aborted when nobody reads standard output any more. */
  readonly readerGone: AbortSignal;
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
    paint: (colour, text) => (colours ? styleText(colour, text, { validateStream: false }) : text),
    readerGone: gone.signal,
  };
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
  const lines = text.split('\n');
  if (!colours) return lines.map(printable).join('\n');
  return lines
    .map((line) =>
      line
        .split(painted)
        .map((part, index) => (index % 2 === 1 ? part : printable(part)))
        .join(''),
    )
    .join('\n');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: SGR of ECMA-48, as `paint` writes it
const painted = /(\x1b\[\d{1,2}m)/;

/** A pipe whose reader ended (`| head`) is no failure; without a listener Node would end with a stack. */
export function onReaderGone(callback: () => void = () => {}): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return callback();
    process.stderr.write(`rom-agent: standard output cannot be written: ${error.message}\n`);
    process.exit(exitCodes.cannotCreate);
  });
}
