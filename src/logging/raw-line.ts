import type { LogConfig } from '../settings/config.js';
import { type Entry, formatJournal, formatPretty, type Layout, type Level } from './format.js';
import { chooseLayout, wantsColour } from './layout.js';

export interface RawLineOptions {
  readonly config: Pick<LogConfig, 'format'>;
  readonly bindings: Readonly<Record<string, string | number>>;
  readonly level: Level;
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly stdout?: { readonly fd: number };
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** A line of the log in two parts, between which the moment belongs that it is written at. */
export interface RawLine {
  readonly before: string;
  readonly after: string;
  /** How that moment is written: as in JSON, as on a terminal, or not at all. */
  readonly time: 'iso' | 'clock' | 'none';
}

/** A line for where the log cannot be had, laid out as the log would: somebody else writes it to `stdout`. */
export function rawLine(options: RawLineOptions): RawLine {
  const { config, stdout = { fd: 1 }, env = process.env } = options;
  const layout = chooseLayout(config.format, { fd: stdout.fd, env });
  const colour = layout === 'pretty' && wantsColour({ fd: stdout.fd, env });
  const [before = '', after = ''] = render(options, { layout, colour }).split(mark);
  return { before, after, time: times[layout] };
}

/** What no date is stays as it is. */
const mark = '@time@';
const times: Readonly<Record<Layout, RawLine['time']>> = { json: 'iso', pretty: 'clock', journal: 'none' };

function render(
  { bindings, level, message, fields = {} }: RawLineOptions,
  { layout, colour }: { layout: Layout; colour: boolean },
): string {
  const entry: Entry = { level, time: mark, pid: process.pid, ...bindings, ...fields, msg: message };
  switch (layout) {
    case 'json':
      return `${JSON.stringify(entry)}\n`;
    case 'journal':
      return formatJournal(entry, { bindings });
    case 'pretty':
      return formatPretty(entry, { bindings, colour });
  }
}
