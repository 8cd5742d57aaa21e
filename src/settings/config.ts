import type { Reader } from './kinds.js';
import {
  type InEffect,
  isReadBy,
  type Key,
  type KeyFor,
  type KeyWithNothing,
  keys,
  pathOf,
  settingOf,
} from './settings.js';

/**
 * The effective configuration: every setting of the table, in camel case, those of a section in an object of its own.
 * Durations are in milliseconds, sizes in mebibytes; paths are absolute. Frozen.
 */
export interface Config extends Tree<Key> {
  /** Variables of the .env file that the environment did not set, handed on to the workers. */
  readonly dotenv: Readonly<Record<string, string>>;
}

/** The part of the Config that somebody reads beside the master. */
export type Share<R extends Reader> = Tree<KeyFor<R>>;

export type LogConfig = Config['log'];
export type LogLevel = LogConfig['level'];
export type LogFormat = LogConfig['format'];
export type Mode = Config['mode'];
export type Dispatch = Config['dispatch'];

/** Of the values in effect, by key. */
export function toConfig(
  values: { readonly [K in Key]: { readonly value: InEffect<K> } },
  dotenv: Readonly<Record<string, string>>,
): Config {
  const tree = treeOf(keys, (key) => {
    const { value } = values[key];
    return value === settingOf(key).nothing ? null : value;
  });
  return { ...tree, dotenv };
}

/** What every worker is told of the configuration. */
export function workerShare(config: Config): Share<'worker'> {
  return treeOf(keys.filter(isReadBy('worker')), (key) => valueIn(config, key));
}

/** What the core decides by: with sizes in bytes, and percentages as shares of 1. */
export function policyShare(config: Config): Share<'policy'> {
  return treeOf(keys.filter(isReadBy('policy')), (key) => {
    const value = valueIn(config, key);
    return value === null ? null : (settingOf(key).kind.inBaseUnit?.(value) ?? value);
  });
}

type Tree<K extends Key> = {
  readonly [P in K as P extends `${string}.${string}` ? never : Camel<P>]: ConfigValue<P>;
} & {
  readonly [S in SectionOf<K>]: {
    readonly [P in K as P extends `${S}.${infer N}` ? Camel<N> : never]: ConfigValue<P>;
  };
};

type ConfigValue<K extends Key> = InEffect<K> | (K extends KeyWithNothing ? null : never);
type SectionOf<K extends Key> = K extends `${infer S}.${string}` ? S : never;
type Camel<S extends string> = S extends `${infer A}_${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S;

function treeOf<K extends Key>(keys: readonly K[], valueFor: (key: K) => unknown): Tree<K> {
  const tree: Record<string, unknown> = {};
  for (const key of keys) {
    const [first, second] = pathOf(key);
    if (second === undefined) tree[first] = valueFor(key);
    else tree[first] = { ...(tree[first] as object | undefined), [second]: valueFor(key) };
  }
  return tree as Tree<K>;
}

function valueIn(config: Config, key: Key): unknown {
  return pathOf(key).reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], config);
}
