import type { Kind, Reader, Setting } from './kinds.js';
import { table } from './table.js';
import type { OpenRange } from './worker-count.js';

type Table = typeof table;
export type Key = keyof Table;
/** The type of a setting's value; with null where it may be unset. */
export type Value<K extends Key> = Table[K] extends {
  readonly kind: Kind<infer T>;
  readonly default: infer D;
}
  ? T | (null extends D ? null : never)
  : never;
/** The type of the value in effect: what is computed replaces `auto` and null. */
export type InEffect<K extends Key> = Table[K] extends { readonly computed: true }
  ? Exclude<Value<K>, 'auto' | OpenRange | null>
  : Value<K>;
export type ComputedKey = { [K in Key]: Table[K] extends { readonly computed: true } ? K : never }[Key];
/** The settings that somebody reads beside the master. */
export type KeyFor<R extends Reader> = {
  [K in Key]: Table[K] extends { readonly readers: readonly (infer Q)[] } ? (R extends Q ? K : never) : never;
}[Key];
/** The settings of which a value means nothing: null in the Config. */
export type KeyWithNothing = { [K in Key]: Table[K] extends { readonly nothing: unknown } ? K : never }[Key];

export const keys = Object.keys(table) as readonly Key[];
/** What a reload leaves as it was: listeners, the control socket and the log are opened once, by the master. */
export const fixedKeys = keys.filter((key) => settingOf(key).fixed === true);

/** The setting as one of unknown value, for code that treats all of them alike. */
export function settingOf(key: Key): Setting<unknown> {
  return table[key] as Setting<unknown>;
}

export function isReadBy<R extends Reader>(reader: R): (key: Key) => key is KeyFor<R> {
  return (key): key is KeyFor<R> => settingOf(key).readers?.includes(reader) === true;
}

/** `--drain-timeout`; null for the app, which is a plain argument. */
export function flagOf(key: Key): string | null {
  return key === 'app' ? null : `--${key.replaceAll(/[._]/g, '-')}`;
}

/** The name under which a parsed flag is handed to loadConfig, commander's: `drainTimeout`. */
export function flagNameOf(key: Key): string {
  return camelCase(key.replace('.', '_'));
}

/** The environment variables of a setting; the first that is set counts. */
export function variablesOf(key: Key): readonly string[] {
  return settingOf(key).env ?? [`ROM_AGENT_${key.replaceAll('.', '_').toUpperCase()}`];
}

/** The way to a setting in the Config: `health`, `slowDelay`. */
export function pathOf(key: Key): readonly [name: string] | readonly [section: string, name: string] {
  const [first = '', second] = key.split('.');
  return second === undefined ? [camelCase(first)] : [camelCase(first), camelCase(second)];
}

/** The default in words, as `check` and the documentation show it. */
export function defaultOf(key: Key): string {
  return settingOf(key).defaultText ?? show(key, settingOf(key).default);
}

/** A value as an operator reads it. */
export function show(key: Key, value: unknown): string {
  const { kind, unset } = settingOf(key);
  return value === null ? (unset ?? 'unset') : kind.show(value);
}

/** The values as anybody may read them: without passwords. */
export function disclosed<T extends Readonly<Record<string, { readonly value: unknown }>>>(values: T): T {
  const entries = Object.entries(values).map(([key, each]) => {
    const isSecret = key in table && settingOf(key as Key).kind.isSecret === true && each.value !== null;
    return [key, isSecret ? { ...each, value: show(key as Key, each.value) } : each];
  });
  return Object.fromEntries(entries) as T;
}

/**
 * Whether somebody has set it to something else than its default. A value that `auto` or the machine decides counts only
 * where somebody gave it.
 */
export function isChanged(
  key: Key,
  { value, from }: { readonly value: unknown; readonly from: string },
): boolean {
  return !from.startsWith('default') && value !== settingOf(key).default;
}

/** Where the configuration file is named. The default path may be missing; a named file must exist. */
export const configFile = {
  flag: '--config',
  flagName: 'config',
  variable: 'ROM_AGENT_CONFIG',
  path: '/etc/rom-agent/rom-agent.toml',
} as const;

function camelCase(name: string): string {
  return name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
