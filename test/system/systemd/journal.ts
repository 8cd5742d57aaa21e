/** One entry of the journal: systemd.journal-fields(7). */
export interface JournalEntry {
  /** 0 (emerg) to 7 (debug). */
  readonly priority: number;
  /** Of the process that wrote it, as seen inside. */
  readonly pid: number;
  readonly message: string;
  readonly identifier: string;
  /** Written by the service (stdout, journal, syslog), or by systemd about it (also journal: see `identifier`). */
  readonly transport: string;
  /** µs since the epoch. */
  readonly time: number;
  readonly cursor: string;
  /** All fields as they are. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface JournalQuery {
  /** This priority and worse: `warning`, or a range `emerg..err`: journalctl(1), -p. */
  readonly priority?: string;
  /** Entries after this one only: the `cursor` of an earlier entry. */
  readonly after?: string;
}

export function journalArguments(unit: string, { priority, after }: JournalQuery): string[] {
  return [
    ...['journalctl', '--boot', '--no-pager', '--quiet', '--all', '--output=json', '--unit', unit],
    ...(priority === undefined ? [] : [`--priority=${priority}`]),
    ...(after === undefined ? [] : [`--after-cursor=${after}`]),
  ];
}

export function parseJournal(text: string): JournalEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => toEntry(JSON.parse(line) as Record<string, unknown>));
}

function toEntry(fields: Record<string, unknown>): JournalEntry {
  return {
    priority: Number(fields.PRIORITY),
    pid: Number(fields._PID),
    message: words(fields.MESSAGE),
    identifier: words(fields.SYSLOG_IDENTIFIER),
    transport: words(fields._TRANSPORT),
    time: Number(fields.__REALTIME_TIMESTAMP),
    cursor: words(fields.__CURSOR),
    fields,
  };
}

/** What is not plain text comes as an array of bytes (systemd, docs/JOURNAL_EXPORT_FORMATS). */
function words(value: unknown): string {
  if (Array.isArray(value)) return Buffer.from(value as number[]).toString('utf8');
  return typeof value === 'string' ? value : '';
}
