import { styleText } from 'node:util';
import { exitCodes } from '../errors/exit-codes.js';

export type Colour = 'green' | 'yellow' | 'red' | 'bold' | 'dim';

/** Where a command speaks. */
export interface Terminal {
  /** To standard output. */
  readonly print: (text: string) => void;
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
    print: (text) => void stdout.write(text),
    warn: (sentence) => void stderr.write(`rom-agent: ${sentence}\n`),
    interactive,
    // A terminal that does not know its width says 0.
    columns: () => stdout.columns || 80,
    paint: (colour, text) => (colours ? styleText(colour, text, { validateStream: false }) : text),
    readerGone: gone.signal,
  };
}

/** A pipe whose reader ended (`| head`) is no failure; without a listener Node would end with a stack. */
export function onReaderGone(callback: () => void = () => {}): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return callback();
    process.stderr.write(`rom-agent: standard output cannot be written: ${error.message}\n`);
    process.exit(exitCodes.cannotCreate);
  });
}
