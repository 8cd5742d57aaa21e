import { isAbsolute, resolve } from 'node:path';
import type { Problem } from '../errors.js';
import type { Valibot } from './kinds.js';
import { type Key, keys, settingOf, show, type Value } from './settings.js';
import type { Given, Layer } from './sources.js';

/** A setting's value before what is computed from others. */
export interface Found<T> {
  readonly value: T;
  /** As it was given; the default as it is shown. */
  readonly raw: unknown;
  readonly source: string;
  /** `wrong`: what was given was reported, and the default stands in. */
  readonly state: 'given' | 'default' | 'wrong';
}

export type Values = { readonly [K in Key]: Found<Value<K>> };

/**
 * The value of every setting from the first layer that gives one. A value that another one overrides is not looked
 * at, except in the configuration file, which belongs to the daemon alone: there, everything must be right.
 */
export async function collect(layers: Layers, problems: Problem[]): Promise<Values> {
  const given = keys.map((key) => [key, givenFor(key, layers)] as const);
  const parse = given.some(([, sources]) => sources.length > 0)
    ? parser(await import('./validators.js'), problems)
    : null;
  const entries = given.map(([key, sources]) => {
    const found = sources.map((source) => parse?.(key, source));
    return [key, found[0] ?? fallback(key, 'default')];
  });
  return Object.fromEntries(entries) as Values;
}

export interface Layers {
  /** What overrides the file, the strongest first. */
  readonly over: readonly Layer[];
  readonly file: Layer;
}

const paths: readonly Key[] = ['app', 'working_directory', 'log.dir', 'control_socket', 'state_dir'];

/** What has to be parsed for a key: the value that counts, then the file's if it is another. */
function givenFor(key: Key, { over, file }: Layers): readonly Given[] {
  const first = over.map((layer) => layer(key)).find((given) => given !== undefined);
  return [first, file(key)].filter((given) => given !== undefined);
}

function parser(v: Valibot, problems: Problem[]) {
  return (key: Key, { raw, form, source, base }: Given): Found<unknown> => {
    const { kind } = settingOf(key);
    const result = v.safeParse(kind[form](v), raw);
    if (!result.success) {
      const expected = kind.expectedFor?.(raw) ?? kind.expected;
      problems.push({ field: key, value: raw, source, expected });
      return fallback(key, 'wrong');
    }
    const value = paths.includes(key) ? absolute(base, String(result.output)) : result.output;
    return { value, raw, source, state: 'given' };
  };
}

function absolute(base: string, path: string): string {
  return isAbsolute(path) ? path : resolve(base, path);
}

function fallback(key: Key, state: 'default' | 'wrong'): Found<unknown> {
  const value = settingOf(key).default;
  return { value, raw: show(key, value), source: 'default', state };
}
