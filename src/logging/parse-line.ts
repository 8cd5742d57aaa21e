import { type LogLine, logLevels } from '../protocol/log-line.js';

/** What `journalctl -o json` prints of an entry: systemd.journal-fields(7). */
export type JournalEntry = Readonly<Record<string, unknown>>;

/** A line of an entry of the journal, as master, workers and their app write them. */
export function ofJournal(entry: JournalEntry): LogLine {
  const { worker, pid, from, message, fields } = ofText(textOf(entry.MESSAGE));
  const about = numberOf(entry.ROM_WORKER);
  return {
    atMs: Math.floor((numberOf(entry.__REALTIME_TIMESTAMP) ?? 0) / 1000),
    level: levelOfPriority(numberOf(entry.PRIORITY)),
    worker: about ?? worker,
    pid: pid ?? numberOf(entry._PID),
    from,
    message,
    fields: { ...fields, ...ofUppercase(entry) },
  };
}

/** A line of a file: our JSON, or what an app printed, which bears no time and so is taken for as old as the line beside it. */
export function ofFile(line: string, besideMs: number): LogLine {
  const entry = objectOf(line);
  if (entry === null) {
    const [, priority, rest = ''] = /^<([0-7])>(.*)$/s.exec(line) ?? [null, null, line];
    const level = priority === null || priority === undefined ? 'info' : levelOfPriority(Number(priority));
    return { atMs: besideMs, level, ...ofText(rest) };
  }
  const { level, time, pid, msg, worker, role, ...fields } = entry;
  const message = typeof msg === 'string' ? msg : '';
  return {
    atMs: typeof time === 'string' && !Number.isNaN(Date.parse(time)) ? Date.parse(time) : besideMs,
    level: isLevel(level) ? level : 'info',
    worker: numberOf(worker) ?? workerIn(message),
    pid: numberOf(pid),
    from: whoWrote({ worker, role }),
    message,
    fields,
  };
}

/** `key=value` at the end of a line, the value quoted as JSON quotes where it has to be. */
const lastPair = /^(.*?)(?:^| )([A-Za-z_][\w.-]*)=("(?:[^"\\]|\\.)*"|[^\s"=\\]\S*|)$/s;

/** A line of the journal's layout: message, then fields, of which each line has `pid` and either `worker` or `role`. */
function ofText(line: string): Omit<LogLine, 'atMs' | 'level'> {
  const pairs: [string, unknown][] = [];
  let rest = line;
  for (let pair = lastPairOf(rest); pair !== null; pair = lastPairOf(rest)) {
    pairs.unshift([pair.key, pair.value]);
    rest = pair.before;
  }
  const { pid, worker, role, ...fields } = Object.fromEntries(pairs);
  // What an app prints may end in key=value, too: ours has both.
  if (numberOf(pid) === null || (worker === undefined && role === undefined)) {
    return { worker: null, pid: null, from: 'app', message: line, fields: {} };
  }
  const about = numberOf(worker) ?? workerIn(rest);
  return { worker: about, pid: numberOf(pid), from: whoWrote({ worker, role }), message: rest, fields };
}

function whoWrote({ worker, role }: { worker: unknown; role: unknown }): LogLine['from'] {
  if (role === 'master') return 'master';
  return worker === undefined ? 'app' : 'worker';
}

interface Pair {
  readonly before: string;
  readonly key: string;
  readonly value: unknown;
}

function lastPairOf(text: string): Pair | null {
  // From the last space on where nothing is quoted: the expression looks at each space otherwise, and lines are long.
  const from = text.endsWith('"') ? 0 : text.lastIndexOf(' ') + 1;
  const match = lastPair.exec(text.slice(from));
  if (match === null) return null;
  const [, before = '', key = '', value = ''] = match;
  return { before: `${text.slice(0, from)}${before}`.trimEnd(), key, value: parsed(value) };
}

function parsed(text: string): unknown {
  if (text.startsWith('"')) {
    try {
      return JSON.parse(text);
    } catch {
      return text.slice(1, -1);
    }
  }
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

/** The master's lines begin with whom they are about. */
function workerIn(message: string): number | null {
  return numberOf(/^worker (\d{1,5})\b/.exec(message)?.[1]);
}

/** The fields that are ours, without the journal's own. */
function ofUppercase(entry: JournalEntry): Readonly<Record<string, unknown>> {
  const names = ['ROM_GENERATION', 'REQUEST_ID', 'CODE_FILE', 'CODE_LINE', 'CODE_FUNC'];
  return Object.fromEntries(
    names.flatMap((name) => (entry[name] === undefined ? [] : [[name, entry[name]] as const])),
  );
}

/** Bytes that are no UTF-8 come as an array of numbers; several fields of one name as an array. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return '';
  return value.every((item) => typeof item === 'number')
    ? Buffer.from(value).toString('utf8')
    : textOf(value[0]);
}

function levelOfPriority(priority: number | null): LogLine['level'] {
  if (priority === null) return 'info';
  if (priority <= 2) return 'fatal';
  return ({ 3: 'error', 4: 'warn', 7: 'debug' } as const)[priority] ?? 'info';
}

function isLevel(value: unknown): value is LogLine['level'] {
  return logLevels.some((level) => level === value);
}

function numberOf(value: unknown): number | null {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && /^\d{1,20}$/.test(value) ? Number(value) : null;
}

function objectOf(line: string): Readonly<Record<string, unknown>> | null {
  if (!line.startsWith('{')) return null;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}
