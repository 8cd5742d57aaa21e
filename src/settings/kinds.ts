/** Where a value was written: on the command line or in a variable, which are strings, or in TOML, with its types. */
export type Form = 'text' | 'toml';

/** What the values of a setting look like, how they are read, and how they are written back. */
export interface Kind<T> {
  /** What would be right, for error messages: "an integer from 0 to 65535". */
  readonly expected: string;
  /** More to the point about one that is not right; null where there is nothing more. */
  readonly expectedFor?: (given: unknown) => string | null;
  /** The value; undefined where what was given is not right. */
  readonly parse: (given: unknown, form: Form) => T | undefined;
  /** The value as `check` and the documentation show it. */
  readonly show: (value: T) => string;
  /** The value as a TOML literal. */
  readonly literal: (value: T) => string;
  /** All values there are, where they can be listed. */
  readonly choices?: readonly T[];
  /** A file or directory: relative paths start at the base of the source that gave them. */
  readonly isPath?: true;
  /** It may hold a password: errors leave it out, and `show` gives it without. */
  readonly isSecret?: true;
  /** The same in the unit that decisions are made in: bytes, a share of 1. */
  readonly inBaseUnit?: (value: T) => T;
}

/** One setting. Its name in the Config, its flag, its environment variable and its TOML key follow from its key. */
export interface Setting<T> {
  readonly kind: Kind<T>;
  /** Environment variables; the first that is set counts. Unless given: ROM_AGENT_<KEY>. */
  readonly env?: readonly string[];
  /** The value where nothing is set; null where that is "unset" or computed. */
  readonly default: T | null;
  /** What null means, in a word or two. */
  readonly unset?: string;
  /** A function in config/resolve.ts replaces `auto` and null. */
  readonly computed?: true;
  /** How a computed default is computed. */
  readonly defaultText?: string;
  /** A value for the example file where there is no default to show. */
  readonly example?: T;
  /** The value by which an operator asks for nothing: null in the Config. */
  readonly nothing?: T;
  /** Who reads it apart from the master: the core, in its policy; a worker, in its settings. */
  readonly readers?: readonly Reader[];
  /** A reload does not change it: it lasts until the service restarts. */
  readonly fixed?: true;
  /** For operators: what it does, with the unit where there is one. Markdown, in one line. */
  readonly description: string;
}

export type Reader = 'policy' | 'worker';

export function setting<T, const S extends Setting<T>>(definition: S & { readonly kind: Kind<T> }): S {
  return definition;
}

export function oneOf<const T extends string>(...names: readonly T[]): Kind<T> {
  return {
    ...asString<T>(`one of ${names.map((name) => `"${name}"`).join(', ')}`, (value) =>
      (names as readonly string[]).includes(value),
    ),
    choices: names,
  };
}

/** A string that is written the same everywhere. */
export function text({ pattern, expected }: { pattern: RegExp; expected: string }): Kind<string> {
  return asString(expected, (value) => pattern.test(value));
}

export function path(expected: string): Kind<string> {
  return { ...asString(expected, (value) => value !== '' && !value.includes('\0')), isPath: true };
}

/** Where to listen: a name, an IPv4 or IPv6 address without brackets or port, or an absolute path. */
export function host(): Kind<string> {
  return asString(
    'a host name or an IP address, without brackets or a port, or the absolute path of a unix socket',
    isHost,
  );
}

/** Where a server of ours listens: `HOST:PORT`, an IPv6 address in brackets, or an absolute path. */
export function address(): Kind<string> {
  const [longest, highest] = [253, 65_535];
  return asString(
    'an address with a port, such as "127.0.0.1:9464" or "[::1]:9464", or the absolute path of a unix socket',
    (value) => {
      if (value.startsWith('/')) return isHost(value);
      const [, bracketed, name = '', port = ''] = /^(?:\[(.*)\]|([^[\]:]*)):(\d{1,5})$/.exec(value) ?? [];
      const fits = bracketed === undefined ? isHost(name) : bracketed.includes(':') && isHost(bracketed);
      return fits && name.length <= longest && port !== '' && Number(port) <= highest;
    },
  );
}

export function integer({
  min,
  max,
  unit,
}: {
  min: number;
  max: number;
  unit?: keyof typeof baseUnits;
}): Kind<number> {
  return {
    expected: `an integer from ${min} to ${max}${unit === undefined ? '' : ` (${unit})`}`,
    parse: (given, form) => {
      const value = form === 'toml' ? given : matching(/^\d{1,15}$/, given) ? Number(given) : undefined;
      return Number.isInteger(value) && Number(value) >= min && Number(value) <= max
        ? Number(value)
        : undefined;
    },
    show: (value) => (unit === undefined ? `${value}` : `${value} ${unit}`),
    literal: String,
    ...(unit === undefined ? {} : { inBaseUnit: baseUnits[unit] }),
  };
}

export function integerOrAuto(range: { min: number; max: number }): Kind<number | 'auto'> {
  const number = integer(range);
  return {
    expected: `"auto" or ${number.expected}`,
    parse: (given, form) => (given === 'auto' ? 'auto' : number.parse(given, form)),
    show: String,
    literal: (value) => (value === 'auto' ? '"auto"' : String(value)),
  };
}

/**
 * A time, in ms: a string with a unit, or 0. A number without a unit is refused: some would mean seconds by it, others
 * milliseconds. `zero`: what 0 means, where `min` is more.
 */
export function duration({ min, max, zero }: { min: number; max: number; zero?: string }): Kind<number> {
  const orZero = zero === undefined ? '' : `, or 0 (${zero})`;
  return {
    expected: `a time from ${showDuration(min)} to ${showDuration(max)}${orZero}: a number with a unit, such as "500ms", "30s", "2m"`,
    expectedFor: withEitherUnit,
    parse: (given, form) => {
      const ms = form === 'toml' && given === 0 ? 0 : parseDuration(given);
      if (ms === undefined) return undefined;
      return (ms >= min && ms <= max) || (zero !== undefined && ms === 0) ? ms : undefined;
    },
    show: showDuration,
    literal: (ms) => JSON.stringify(showDuration(ms)),
  };
}

/** Several words: in TOML an array of strings, elsewhere as in a shell. */
export function words({
  expected,
  each = () => true,
}: {
  expected: string;
  each?: (word: string) => boolean;
}): Kind<readonly string[]> {
  return {
    expected,
    parse: (given, form) => {
      const list = form === 'toml' ? given : typeof given === 'string' ? splitWords(given) : null;
      const isRight = Array.isArray(list) && list.every((word) => matching(noNul, word) && each(word));
      return isRight ? [...list] : undefined;
    },
    show: (value) => (value.length === 0 ? 'none' : joinWords(value)),
    literal: (value) => `[${value.map((word) => JSON.stringify(word)).join(', ')}]`,
  };
}

/** Flags of Node with which an app runs: `--name`, `--name=value`, `-x`; not those with which Node does something else. */
export function nodeFlags(): Kind<readonly string[]> {
  return words({
    expected:
      'flags of Node with which an app runs, each beginning with "-" and with its value behind "=", such as "--import=./register.mjs"',
    each: (flag) => /^-(-[\w-]*\w(=.*)?|\w+)$/s.test(flag) && !elsewhere.has(flag.replace(/=.*/s, '')),
  });
}

/** A program by its absolute path, and its arguments. */
export function command(): Kind<readonly string[]> {
  const list = words({ expected: '' });
  return {
    ...list,
    expected:
      'the absolute path of a program and its arguments, such as ["/usr/local/bin/page-me", "--team", "web"]',
    parse: (given, form) => {
      const value = list.parse(given, form);
      return value === undefined || value.length === 0 || value[0]?.startsWith('/') ? value : undefined;
    },
  };
}

/** One command with a name and a time limit. */
export interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** ms; null: as the setting that says so. */
  readonly timeout: number | null;
}

/** Tables with `name`, `command` and `timeout`: in TOML an array of tables, elsewhere JSON of the same form. */
export function steps(): Kind<readonly Step[]> {
  return {
    expected:
      'tables with a name, a command and, if it differs, a timeout, such as { name = "build", command = ["npm", "run", "build"], timeout = "5m" }',
    expectedFor: (given) => {
      const list = Array.isArray(given) ? given : [];
      const wrong = list.findIndex((each) => stepIn(each) === undefined);
      return wrong === -1
        ? null
        : `for number ${wrong + 1} a name of letters, digits, "-" and "_", a command such as ["npm", "ci"], a timeout such as "5m", and nothing else`;
    },
    parse: (given, form) => {
      const list = form === 'toml' ? given : jsonIn(given);
      if (!Array.isArray(list)) return undefined;
      const steps = list.map(stepIn);
      const names = new Set(steps.map((step) => step?.name));
      return steps.every((step) => step !== undefined) && names.size === steps.length ? steps : undefined;
    },
    show: (value) => (value.length === 0 ? 'none' : value.map(({ name }) => name).join(', ')),
    literal: (value) =>
      `[${value
        .map(({ name, command, timeout }) => {
          const words = command.map((word) => JSON.stringify(word)).join(', ');
          const limit = timeout === null ? '' : `, timeout = ${JSON.stringify(showDuration(timeout))}`;
          return `{ name = ${JSON.stringify(name)}, command = [${words}]${limit} }`;
        })
        .join(', ')}]`,
  };
}

function stepIn(given: unknown): Step | undefined {
  if (typeof given !== 'object' || given === null) return undefined;
  const { name, command, timeout, ...more } = given as Record<string, unknown>;
  if (Object.keys(more).length > 0 || !matching(/^[A-Za-z][\w-]{0,31}$/, name)) return undefined;
  const isCommand =
    Array.isArray(command) && command.length > 0 && command.every((word) => matching(noNul, word));
  const limit = timeout === undefined ? null : parseDuration(timeout);
  if (!isCommand || command[0] === '' || limit === undefined || limit === 0) return undefined;
  return { name, command: [...command], timeout: limit };
}

function jsonIn(given: unknown): unknown {
  try {
    return typeof given === 'string' ? JSON.parse(given) : undefined;
  } catch {
    return undefined;
  }
}

/** Variables of an environment: in TOML a table of strings, elsewhere words of the form NAME=value. */
export function variables(): Kind<Readonly<Record<string, string>>> {
  const isName = (name: string) => /^[A-Za-z_]\w*$/.test(name);
  return {
    expected: 'variables, such as { NODE_ENV = "production" }',
    parse: (given, form) => {
      const pairs =
        form === 'text' && typeof given === 'string'
          ? splitWords(given)?.map((word) => [
              word.split('=')[0] ?? '',
              word.includes('=') ? word.replace(/^[^=]*=/s, '') : null,
            ])
          : typeof given === 'object' && given !== null && !Array.isArray(given)
            ? Object.entries(given)
            : undefined;
      const isRight = pairs?.every(([name, value]) => isName(String(name)) && matching(noNul, value));
      return isRight === true && pairs !== undefined ? Object.fromEntries(pairs) : undefined;
    },
    // A value may be a secret.
    show: (value) => Object.keys(value).join(', ') || 'none',
    literal: (value) =>
      `{ ${Object.entries(value)
        .map(([name, text]) => `${name} = ${JSON.stringify(text)}`)
        .join(', ')} }`.replace('{  }', '{}'),
  };
}

export function webUrl(): Kind<string> {
  return asString(
    'a URL that begins with https:// or http://, without a user name and a password',
    (value) => {
      if (!/^https?:\/\/[\x21-\x7e]+$/.test(value) || !URL.canParse(value)) return false;
      const { username, password } = new URL(value);
      return username === '' && password === '';
    },
  );
}

/** Where Redis is. `show` leaves out user and password. */
export function redisUrl(): Kind<string> {
  return {
    ...asString(
      'redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:///path/of/socket, with USER:PASSWORD@ before the host where Redis wants them',
      (value) =>
        (/^rediss?:\/\/[^/]/.test(value) || /^(unix:\/\/)?(\S+@)?\/[^/]/.test(value)) &&
        /^[\x21-\x7e]+$/.test(value) &&
        URL.canParse(value.startsWith('/') ? `unix://${value}` : value),
    ),
    isSecret: true,
    show: (value) => value.replace(/\/\/[^@/]*@/, '//'),
  };
}

/** Permission bits in octal, as chmod(1) takes them. A bare TOML integer is refused: 660 would be decimal. */
export function permissions(): Kind<number> {
  const show = (value: number) => value.toString(8).padStart(4, '0');
  return {
    expected: 'permission bits in octal as a string, such as "0660"',
    parse: (given) =>
      matching(/^(0o|0)?[0-7]{3}$/, given) ? Number.parseInt(given.replace('0o', ''), 8) : undefined,
    show,
    literal: (value) => `"${show(value)}"`,
  };
}

export function showDuration(ms: number): string {
  if (ms !== 0 && ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  if (ms !== 0 && ms % 60_000 === 0 && ms !== 60_000) return `${ms / 60_000}m`;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

/**
 * The words of a command line, as a shell would take them apart: at spaces, but not within quotes; a backslash stands
 * for the character behind it, but not within single quotes. Null where a quote is not closed.
 */
export function splitWords(text: string): readonly string[] | null {
  const words: string[] = [];
  let rest = text.trimStart();
  while (rest !== '') {
    const word = /^(?:[^\s'"\\]|\\[\s\S]|'[^']*'|"(?:[^"\\]|\\[\s\S])*")+(?=\s|$)/.exec(rest)?.[0];
    if (word === undefined) return null;
    words.push(unquoted(word));
    rest = rest.slice(word.length).trimStart();
  }
  return words;
}

/** The reverse of splitWords. */
export function joinWords(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ');
}

/** Flags with which Node does something else than run the app. */
const elsewhere = new Set(
  (
    '-e --eval -p --print -pe -c --check -i --interactive -v --version -h --help --v8-options --test --watch --watch-path ' +
    '--run --build-snapshot --build-snapshot-config --experimental-sea-config --prof-process --completion-bash'
  ).split(' '),
);

const baseUnits = {
  MiB: (value: number) => value * 2 ** 20,
  '%': (value: number) => value / 100,
};
const unitMillis = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
// biome-ignore lint/suspicious/noControlCharactersInRegex: an argument of a process cannot hold a NUL
const noNul = /^[^\x00]*$/;

function asString<T extends string>(expected: string, fits: (value: string) => boolean): Kind<T> {
  return {
    expected,
    parse: (given) => (typeof given === 'string' && fits(given) ? (given as T) : undefined),
    show: String,
    literal: (value) => JSON.stringify(value),
  };
}

function matching(pattern: RegExp, given: unknown): given is string {
  return typeof given === 'string' && pattern.test(given);
}

function parseDuration(given: unknown): number | undefined {
  if (given === '0') return 0;
  if (!matching(/^(\d+(\.\d+)?|\.\d+)(ms|s|m|h)$/, given)) return undefined;
  const unit = /[a-z]+$/.exec(given)?.[0] as keyof typeof unitMillis;
  return Math.round(Number.parseFloat(given) * unitMillis[unit]);
}

/** For a number without a unit: what it would be with either. */
function withEitherUnit(given: unknown): string | null {
  const number = typeof given === 'number' ? String(given) : given;
  if (!matching(/^(\d+(\.\d+)?|\.\d+)$/, number)) return null;
  return `a time with a unit: "${number}ms" is ${inWords(Number(number))}, "${number}s" is ${inWords(Number(number) * 1000)}`;
}

/** `30 s`, `8.3 h` */
function inWords(ms: number): string {
  const units = [
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ] as const;
  const [unit, size] = units.find(([, size]) => ms >= size) ?? ['ms', 1];
  return `${Math.round((ms / size) * 10) / 10} ${unit}`;
}

function isHost(value: string): boolean {
  if (value.startsWith('/')) return !value.includes('\0') && !value.endsWith('/');
  if (value.includes(':')) return /^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*(%[\w.-]+)?$/i.test(value);
  return /^[\w.-]+$/.test(value);
}

function unquoted(word: string): string {
  return word.replaceAll(
    /'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])/g,
    (_, single, double, escaped) =>
      single ?? (double === undefined ? escaped : double.replaceAll(/\\([\s\S])/g, '$1')),
  );
}
