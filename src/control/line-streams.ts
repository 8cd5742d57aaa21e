import type { LineStream } from './answers.js';

interface Streamed<Line extends object> {
  /** Asked for what takes its time; tells its lines from then on. */
  readonly first: (onLine: (line: Line) => void) => Promise<Line>;
  readonly open: () => LineStream;
  readonly isLast: (line: Line) => boolean;
}

/**
 * Streams the lines of what was asked for, the answer first, until the last one. A refusal is thrown before the stream opens. A
 * client that goes away ends the stream alone.
 */
export async function streamLines<Line extends object>({
  first,
  open,
  isLast,
}: Streamed<Line>): Promise<void> {
  const early: Line[] = [];
  let pass = (line: Line): void => {
    early.push(line);
  };
  const answer = await first((line) => pass(line));
  const stream = open();
  let over = false;
  stream.onOver(() => {
    over = true;
  });
  pass = (line) => {
    if (over) return;
    stream.write(line);
    if (isLast(line)) stream.end();
  };
  for (const line of [answer, ...early.splice(0)]) pass(line);
}
