import { duration, integer, type Kind, oneOf, showDuration } from './kinds.js';

/** What a job does, each time that it runs. */
export type JobWork =
  /** A program and its arguments; without a shell, unless the command names one. */
  | { readonly kind: 'command'; readonly command: readonly string[] }
  /** An exported function of a module. The path is absolute. */
  | { readonly kind: 'module'; readonly path: string; readonly export: string }
  /** A request to the own service. */
  | {
      readonly kind: 'request';
      readonly method: string;
      readonly path: string;
      readonly body: string | null;
    };

/** A job of the configuration: `[jobs.NAME]`. Durations are in ms, sizes in MiB. */
export interface JobConfig {
  readonly name: string;
  /** As croner reads it, with 5 or 6 fields, or a nickname such as `@daily`. */
  readonly schedule: string;
  /** A name of the IANA's database; null: the zone of the machine. */
  readonly timezone: string | null;
  readonly work: JobWork;
  /** How long one attempt may take. */
  readonly timeout: number;
  readonly overlap: 'skip' | 'queue' | 'replace';
  readonly missed: 'skip' | 'once';
  readonly retries: number;
  readonly backoff: number;
  readonly jitter: number;
  readonly memoryLimit: number | null;
  readonly onStop: 'wait' | 'end';
  readonly onLost: 'report' | 'rerun';
  readonly env: Readonly<Record<string, string>>;
  readonly enabled: boolean;
}

/** One setting of a job. There is neither a flag nor a variable for it: jobs stand in the configuration file. */
export interface JobField<T = unknown> {
  readonly kind: Kind<T>;
  /** undefined: it has to be given, or the rules between the fields decide. */
  readonly default: T | null | undefined;
  /** The default in words, where the value does not say it. */
  readonly defaultText?: string;
  readonly description: string;
}

const second = 1000;
const hour = 3600 * second;
const day = 24 * hour;

/** Letters that go into names of files and labels of metrics. */
export const jobName = {
  pattern: /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/,
  expected: 'a name of 1 to 63 letters, digits, "-" and "_" that begins with a letter or a digit',
} as const;

/** What a job's request is sent with. */
export const requestLine = /^(GET|POST|PUT|PATCH|DELETE|HEAD) (\/[\x21-\x7e]*)$/;

// biome-ignore lint/suspicious/noControlCharactersInRegex: an argument of a process cannot hold a NUL
const noNul = /^[^\x00]*$/;

/** The settings under `[jobs.NAME]`, by their names there. */
export const jobTable = {
  schedule: field({
    kind: string('a cron expression with 5 or 6 fields, such as "0 2 * * *", or "@daily"', /\S/),
    default: undefined,
    description:
      'When the job runs: minute, hour, day of the month, month and day of the week, with seconds before them if there are 6 fields; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.',
  }),
  timezone: field({
    kind: string('the name of a time zone, such as "America/Sao_Paulo" or "UTC"', /^[A-Za-z0-9_+\-/]+$/),
    default: null,
    defaultText: 'the time zone of the machine (`TZ`)',
    description: 'Time zone of `schedule`.',
  }),
  command: field({
    kind: command(),
    default: undefined,
    description:
      'What runs: a program and its arguments as an array, without a shell; or a string, which `sh -c` runs. One of `command`, `module` and `request` has to be there.',
  }),
  module: field({
    kind: string('the path of a module', noNul),
    default: undefined,
    description:
      'What runs instead: a function of this module, in a process of its own. A relative path starts at the directory of the configuration file.',
  }),
  function: field({
    kind: string('the name of a function that the module exports', /^[\p{L}_$][\p{L}\p{N}_$]*$/u),
    default: 'default',
    description: 'With `module`: the export that is called.',
  }),
  request: field({
    kind: string('a method and a path, such as "POST /jobs/report"', requestLine),
    default: undefined,
    description:
      'What happens instead: a request to the service itself, with the header `Rom-Agent-Job: NAME`. A status of 400 or more is a failure.',
  }),
  body: field({
    kind: string('a string', noNul),
    default: null,
    defaultText: 'none',
    description: 'With `request`: its body. It is sent as JSON if it is valid JSON, as plain text otherwise.',
  }),
  timeout: field({
    kind: duration({ min: second, max: 7 * day, zero: 'none' }),
    default: hour,
    description:
      'How long a run may take before its processes get SIGTERM, and SIGKILL 5 s later. A retry has its own time. 0: as long as it likes.',
  }),
  overlap: field({
    kind: oneOf('skip', 'queue', 'replace'),
    default: 'skip',
    description:
      'What becomes of a run that is due while the one before is not over: `skip` leaves it out, `queue` starts it afterwards (up to 100 wait), `replace` ends the one before.',
  }),
  missed: field({
    kind: oneOf('skip', 'once'),
    default: 'once',
    description:
      'What becomes of due times that passed more than a minute ago, while the machine slept or the daemon was down: `once` runs the job once for all of them, `skip` not at all.',
  }),
  retries: field({
    kind: integer({ min: 0, max: 100 }),
    default: 0,
    description: 'How often a run that fails or takes too long is tried again.',
  }),
  backoff: field({
    kind: duration({ min: 100, max: day }),
    default: 10 * second,
    description: 'How long the first retry waits. The time doubles with each retry, up to an hour.',
  }),
  jitter: field({
    kind: duration({ min: 0, max: hour }),
    default: 0,
    description:
      'A run starts up to so much later than it is due, at random. It must be shorter than the time between two runs.',
  }),
  memory_limit: field({
    kind: integer({ min: 16, max: 2 ** 22, unit: 'MiB' }),
    default: null,
    defaultText: 'none',
    description:
      'Memory of all processes of a run together, in MiB. A run that takes more is killed. The kernel keeps the limit where the daemon may make cgroups; elsewhere the daemon looks once a second.',
  }),
  on_stop: field({
    kind: oneOf('wait', 'end'),
    default: 'wait',
    description:
      'What becomes of a run when the service stops, or a reload finds the job removed: `wait` lets it go on (a stop waits for `drain_timeout` at most), `end` sends SIGTERM at once.',
  }),
  on_lost: field({
    kind: oneOf('report', 'rerun'),
    default: 'report',
    description:
      'What becomes of a run whose daemon was killed: the next start ends its processes and reports it as lost. `rerun` runs it again, too.',
  }),
  env: field({
    kind: variables(),
    default: {},
    defaultText: 'none',
    description: "Variables for the run, beside those that the service's workers have: a table of strings.",
  }),
  enabled: field({
    kind: flag(),
    default: true,
    description: '`false`: the job runs only when `rom-agent jobs run` asks for it.',
  }),
} as const;

export type JobKey = keyof typeof jobTable;
export type JobValue<K extends JobKey> = (typeof jobTable)[K] extends { readonly kind: Kind<infer T> }
  ? T
  : never;

export const jobKeys = Object.keys(jobTable) as readonly JobKey[];

/** For code that treats all of them alike. */
export function jobFieldOf(key: JobKey): JobField {
  return jobTable[key] as JobField;
}

/** The default in words, as the documentation shows it. */
export function jobDefaultOf(key: JobKey): string {
  const { kind, default: value, defaultText } = jobFieldOf(key);
  return defaultText ?? (value === undefined || value === null ? '' : kind.show(value));
}

/** What a job does, in a few words. */
export function showWork(work: JobWork): string {
  switch (work.kind) {
    case 'command':
      return work.command.join(' ');
    case 'module':
      return work.export === 'default' ? work.path : `${work.export} of ${work.path}`;
    case 'request':
      return `${work.method} ${work.path}`;
  }
}

/** A job in one line, as `check` shows it. */
export function showJob(job: JobConfig): string {
  const zone = job.timezone === null ? '' : ` ${job.timezone}`;
  const off = job.enabled ? '' : ', not enabled';
  return `${job.schedule}${zone}: ${showWork(job.work)} (timeout ${showDuration(job.timeout)}, overlap ${job.overlap}, missed ${job.missed}${off})`;
}

function field<T, const F extends Omit<JobField<T>, 'kind'>>(
  definition: F & { readonly kind: Kind<T> },
): F & { readonly kind: Kind<T> } {
  return definition;
}

function string(expected: string, pattern: RegExp): Kind<string> {
  return {
    expected,
    parse: (given) =>
      typeof given === 'string' && given !== '' && noNul.test(given) && pattern.test(given)
        ? given
        : undefined,
    show: String,
    literal: (value) => JSON.stringify(value),
  };
}

/** Several words, or a line for the shell. */
function command(): Kind<readonly string[]> {
  return {
    expected: 'an array such as ["/usr/bin/backup", "--all"], or a line for sh -c, such as "backup | gzip"',
    parse: (given) => {
      if (typeof given === 'string')
        return given.trim() !== '' && noNul.test(given) ? ['/bin/sh', '-c', given] : undefined;
      const isRight =
        Array.isArray(given) &&
        given.length > 0 &&
        given[0] !== '' &&
        given.every((word) => typeof word === 'string' && noNul.test(word));
      return isRight ? [...given] : undefined;
    },
    show: (value) => value.join(' '),
    literal: (value) => JSON.stringify(value),
  };
}

function variables(): Kind<Readonly<Record<string, string>>> {
  return {
    expected: 'a table of strings, such as { REPORT_TO = "ops@example.com" }, with names as in a shell',
    parse: (given) => {
      if (typeof given !== 'object' || given === null || Array.isArray(given)) return undefined;
      const entries = Object.entries(given);
      const fits = ([name, value]: [string, unknown]): boolean =>
        /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && typeof value === 'string' && noNul.test(value);
      return entries.every(fits) ? (Object.fromEntries(entries) as Record<string, string>) : undefined;
    },
    show: (value) => Object.keys(value).join(', ') || 'none',
    literal: (value) =>
      `{ ${Object.entries(value)
        .map(([name, text]) => `${name} = ${JSON.stringify(text)}`)
        .join(', ')} }`,
  };
}

function flag(): Kind<boolean> {
  return {
    expected: 'true or false',
    parse: (given) => (typeof given === 'boolean' ? given : undefined),
    show: String,
    literal: String,
  };
}
