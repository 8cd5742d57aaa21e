import type { JobConfig } from './jobs.js';
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

/*
 * The way of a setting, such as keep_alive_timeout:
 *
 * 1. It is an entry of table.ts or sections.ts, with its kind, its default, and who reads it apart from the master
 *    (`readers`).
 * 2. config/load.ts takes its value from the command line, the environment, .env, the TOML file or the default, checks it,
 *    and computes what is `auto`. `toConfig` makes the Config of all values: `config.keepAliveTimeout`, in ms.
 * 3. Each generation has its own Config (master/releases.ts): a reload reads the sources anew, the old workers keep what
 *    they have, and a setting that is `fixed` stays as it was at the start.
 * 4. With `readers: ['worker']`, `workerShare` picks it for the settings of each worker that is forked: master/launch.ts.
 *    worker/serve.ts gives each part what it reads: `settings.keepAliveTimeout` goes to connections/keep-alive.ts.
 * 5. With `readers: ['policy']`, such as health.slow_delay, `policyShare` picks it for the Policy, which the core's `step`
 *    gets with each event: master/policy.ts.
 * 6. What a worker has to know of the policy comes with a message when it is due: `drain_timeout` is the `timeout` of
 *    `drain`, which the core emits (slots.ts, lifecycle.ts) and master/perform.ts sends.
 * 7. What Node or the app itself reads needs no reader: `node_args` and the heap limits reach a worker as flags (`setUp` in
 *    master/pool.ts); `port`, `host`, `node_env` and .env as variables, and `working_directory` as its directory (`launchOf`
 *    in master/launch.ts).
 */

/**
 * The effective configuration: every setting of the table, in camel case, those of a section in an object of its own.
 * Durations are in milliseconds, sizes in mebibytes; paths are absolute. Frozen.
 */
export interface Config extends Tree<Key> {
  /** Variables of the .env file that the environment did not set, handed on to the workers. */
  readonly dotenv: Readonly<Record<string, string>>;
  /** `[jobs.NAME]`, which only a configuration file has. */
  readonly jobs: readonly JobConfig[];
}

/** The part of the Config that somebody reads apart from the master. */
export type Share<R extends Reader> = Tree<KeyFor<R>>;

export type LogConfig = Config['log'];
export type LogLevel = LogConfig['level'];
export type LogFormat = LogConfig['format'];
export type Mode = Config['mode'];
export type Dispatch = Config['dispatch'];

/** Of the values in effect, by key. */
export function toConfig(
  values: { readonly [K in Key]: { readonly value: InEffect<K> } },
  { dotenv, jobs }: Pick<Config, 'dotenv' | 'jobs'>,
): Config {
  const tree = treeOf(keys, (key) => {
    const { value } = values[key];
    return value === settingOf(key).nothing ? null : value;
  });
  return { ...tree, dotenv, jobs };
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
  readonly [S in SectionOf<K> as Camel<S>]: {
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
