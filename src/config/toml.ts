import { parse as parseToml, TomlError } from 'smol-toml';
import type { Problem } from '../errors.js';
import { type Key, keys } from './settings.js';
import { closest } from './spelling.js';

export interface TomlContext {
  /** Of the file, for the operator. */
  readonly path: string;
  readonly problems: Problem[];
}

/** The values of a configuration file by key. A syntax error and unknown keys are added to `problems`. */
export function readToml(text: string, context: TomlContext): ReadonlyMap<Key, unknown> {
  return flatten(parse(text, context), context);
}

type Table = Readonly<Record<string, unknown>>;

const sections: readonly string[] = [...new Set(keys.filter(isNested).map((key) => key.split('.')[0] ?? ''))];

function parse(text: string, { path, problems }: TomlContext): Table {
  try {
    return parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = (error.message.split('\n')[0] ?? '').replace('Invalid TOML document: ', '');
    const expected = `valid TOML, but line ${error.line}, column ${error.column}: ${reason}`;
    problems.push({ field: 'config', value: text.split('\n')[error.line - 1] ?? '', source: path, expected });
    return {};
  }
}

function flatten(table: Table, context: TomlContext): Map<Key, unknown> {
  const values = new Map<Key, unknown>();
  for (const [name, value] of Object.entries(table)) {
    if (sections.includes(name)) take(values, { entries: entriesOf(name, value, context), context });
    else take(values, { entries: [[isNested(name) ? JSON.stringify(name) : name, value]], context });
  }
  return values;
}

function entriesOf(
  section: string,
  value: unknown,
  { path, problems }: TomlContext,
): readonly [string, unknown][] {
  if (isTable(value)) return Object.entries(value).map(([name, inner]) => [`${section}.${name}`, inner]);
  problems.push({ field: section, value, source: path, expected: `a section, [${section}]` });
  return [];
}

function take(
  values: Map<Key, unknown>,
  { entries, context }: { entries: readonly [string, unknown][]; context: TomlContext },
): void {
  for (const [name, value] of entries) {
    if (isKey(name)) values.set(name, value);
    else context.problems.push(unknown({ name, value, path: context.path }));
  }
}

function unknown({ name, value, path }: { name: string; value: unknown; path: string }): Problem {
  const guess = closest(name, keys) as Key | undefined;
  const hint = guess === undefined ? '' : `; did you mean ${guess}${placeOf(name, guess)}?`;
  return {
    field: name,
    value: isTable(value) ? {} : value,
    source: path,
    expected: `a setting that exists${hint}`,
  };
}

function placeOf(name: string, guess: Key): string {
  const [section] = guess.split('.');
  if (isNested(guess)) return name.startsWith(`${section}.`) ? '' : ` (in the section [${section}])`;
  return isNested(name) ? ' (above the first section)' : '';
}

function isKey(name: string): name is Key {
  return (keys as readonly string[]).includes(name);
}

function isNested(name: string): boolean {
  return name.includes('.');
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
