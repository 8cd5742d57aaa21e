import type { GenericSchema } from 'valibot';
import { joinWords, splitWords } from './words.js';

/** The schema library is handed in: it is large, and loaded only where there is a value to check. */
export type Valibot = typeof import('./validators.js');
type Schema<T> = (v: Valibot) => GenericSchema<unknown, T>;

/**
 * What a setting's values look like: how they are written on the command line and in the environment (text) and in
 * TOML (native types), and how a value is written back.
 */
export interface Kind<T> {
  /** What would be right, for error messages: "an integer from 0 to 65535". */
  readonly expected: string;
  /** More to the point about one that is not right; null where there is nothing more. */
  readonly expectedFor?: (given: unknown) => string | null;
  /** For values of flags and of environment variables, which are strings. */
  readonly text: Schema<T>;
  /** For values of a TOML file. */
  readonly toml: Schema<T>;
  /** The value as `check` and the documentation show it. */
  readonly show: (value: T) => string;
  /** The value as a TOML literal. */
  readonly literal: (value: T) => string;
}

export function oneOf<const T extends string>(...names: readonly T[]): Kind<T> {
  return same((v) => v.picklist(names), {
    expected: `one of ${names.map((name) => `"${name}"`).join(', ')}`,
  });
}

/** An integer with an optional unit that is only shown. */
export function integer({ min, max, unit }: { min: number; max: number; unit?: string }): Kind<number> {
  const within = (v: Valibot) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
  return {
    expected: `an integer from ${min} to ${max}${unit === undefined ? '' : ` (${unit})`}`,
    text: (v) => v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number), within(v)),
    toml: within,
    show: (value) => (unit === undefined ? `${value}` : `${value} ${unit}`),
    literal: String,
  };
}

export function integerOrAuto(range: { min: number; max: number }): Kind<number | 'auto'> {
  const number = integer(range);
  return {
    expected: `"auto" or ${number.expected}`,
    text: (v) => v.union([v.literal('auto'), number.text(v)]),
    toml: (v) => v.union([v.literal('auto'), number.toml(v)]),
    show: String,
    literal: (value) => (value === 'auto' ? '"auto"' : String(value)),
  };
}

/**
 * A time, in ms: a string with a unit, or 0. A number without one is refused, for half of the world means seconds and the
 * other half milliseconds. `zero`: what 0 means, where `min` is more.
 */
export function duration({ min, max, zero }: { min: number; max: number; zero?: string }): Kind<number> {
  const fits = (ms: number) => (ms >= min && ms <= max) || (zero !== undefined && ms === 0);
  const within = (v: Valibot) => v.pipe(v.number(), v.transform(Math.round), v.check(fits));
  const text: Schema<number> = (v) =>
    v.pipe(v.string(), v.regex(durationPattern), v.transform(toMillis), within(v));
  const nothing: Schema<number> = (v) => v.pipe(v.number(), v.maxValue(0), within(v));
  const orZero = zero === undefined ? '' : `, or 0 (${zero})`;
  return {
    expected: `a time from ${showDuration(min)} to ${showDuration(max)}${orZero}: ${durationForms}`,
    text,
    expectedFor: unitFor,
    toml: (v) => v.union([nothing(v), text(v)]),
    show: showDuration,
    literal: (ms) => JSON.stringify(showDuration(ms)),
  };
}

export function text({ pattern, expected }: { pattern: RegExp; expected: string }): Kind<string> {
  return same((v) => v.pipe(v.string(), v.regex(pattern)), { expected });
}

/** Several words: in TOML an array of strings, elsewhere as in a shell. */
export function words({
  expected,
  each = () => true,
}: {
  expected: string;
  each?: (word: string) => boolean;
}): Kind<readonly string[]> {
  const fit = (v: Valibot) =>
    v.pipe(
      v.array(v.pipe(v.string(), v.regex(noNul))),
      v.check((list) => list.every(each)),
    );
  return {
    expected,
    text: (v) =>
      v.pipe(
        v.string(),
        v.check((value) => splitWords(value) !== null),
        v.transform((value) => [...(splitWords(value) ?? [])]),
        fit(v),
      ),
    toml: fit,
    show: (value) => (value.length === 0 ? 'none' : joinWords(value)),
    literal: (value) => `[${value.map((word) => JSON.stringify(word)).join(', ')}]`,
  };
}

/** A file or directory; relative paths are resolved later, since against what depends on the source. */
export function path(expected: string): Kind<string> {
  return same((v) => v.pipe(v.string(), v.minLength(1), v.regex(noNul)), { expected });
}

/** Where to listen: a name, an IPv4 or IPv6 address without brackets or port, or an absolute path. */
export function host(): Kind<string> {
  return same((v) => v.pipe(v.string(), v.check(isHost)), {
    expected:
      'a host name or an IP address, without brackets or a port, or the absolute path of a unix socket',
  });
}

/** Permission bits in octal, as chmod(1) takes them. A bare TOML integer is refused: 660 would be decimal. */
export function permissions(): Kind<number> {
  const bits: Schema<number> = (v) =>
    v.pipe(v.string(), v.regex(/^(0o|0)?[0-7]{3}$/), v.transform(fromOctal));
  const show = (value: number) => value.toString(8).padStart(4, '0');
  return {
    expected: 'permission bits in octal as a string, such as "0660"',
    text: bits,
    toml: bits,
    show,
    literal: (value) => `"${show(value)}"`,
  };
}

export function showDuration(ms: number): string {
  if (ms !== 0 && ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  if (ms !== 0 && ms % 60_000 === 0 && ms !== 60_000) return `${ms / 60_000}m`;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

const durationPattern = /^(?:(\d+(?:\.\d+)?|\.\d+)(ms|s|m|h)|0)$/;
const numberPattern = /^(\d+(?:\.\d+)?|\.\d+)$/;
const durationForms = 'a number with a unit, such as "500ms", "30s", "2m"';
const unitMillis = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
// biome-ignore lint/suspicious/noControlCharactersInRegex: a path cannot hold a NUL
const noNul = /^[^\x00]*$/;

function toMillis(value: string): number {
  const [, number = 0, unit = 's'] = durationPattern.exec(value) ?? [];
  return Number(number) * unitMillis[unit as keyof typeof unitMillis];
}

/** Of a number without a unit: what it would be with either. */
function unitFor(given: unknown): string | null {
  const number = typeof given === 'number' ? String(given) : given;
  if (typeof number !== 'string' || !numberPattern.test(number)) return null;
  return `a time with a unit: "${number}ms" is ${inWords(Number(number))}, "${number}s" is ${inWords(Number(number) * 1000)}`;
}

/** `30 s`, `8.3 h` */
function inWords(ms: number): string {
  const [unit, size] = wordsOf.find(([, size]) => ms >= size) ?? ['ms', 1];
  return `${Math.round((ms / size) * 10) / 10} ${unit}`;
}

const wordsOf = [
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

function fromOctal(value: string): number {
  return Number.parseInt(value.replace('0o', ''), 8);
}

function isHost(value: string): boolean {
  if (value.startsWith('/')) return noNul.test(value) && !value.endsWith('/');
  if (value.includes(':')) return /^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*(%[\w.-]+)?$/i.test(value);
  return /^[\w.-]+$/.test(value);
}

/** A kind that is written the same everywhere: a string. */
function same<T extends string>(schema: Schema<T>, { expected }: { expected: string }): Kind<T> {
  return { expected, text: schema, toml: schema, show: String, literal: (value) => JSON.stringify(value) };
}
