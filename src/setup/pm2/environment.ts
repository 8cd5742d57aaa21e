import { isRecord } from '../../config/package.js';
import { type Key, keys, settingOf, variablesOf } from '../../settings/settings.js';
import { becomes, dropped, type Outcome, todo } from './outcome.js';

export interface Variables {
  /** For the environment file of the service. */
  readonly environment: Readonly<Record<string, string>>;
  readonly settings: Readonly<Record<string, unknown>>;
  /** One row for what was taken as a whole, and one for each that is special. */
  readonly rows: readonly { readonly key: string; readonly value: string; readonly outcome: Outcome }[];
}

/** The names of the environments in a configuration: `production` of `env_production`. */
export function environmentsOf(config: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.keys(config).flatMap((key) => /^env_(\S+)$/.exec(key)?.[1] ?? []);
}

/**
 * `env`, and over it `env_NAME` where that is asked for, and over both `port`. What is a setting of ours by the same
 * variable becomes that setting, since the daemon reads it anyway. The values are secrets: rows have the names alone.
 *
 * @param more variables from elsewhere, such as those in front of a command
 */
export function variablesOfApp(
  config: Readonly<Record<string, unknown>>,
  { chosen, more = {} }: { chosen: string | null; more?: Readonly<Record<string, string>> },
): Variables {
  const all: Record<string, string> = {};
  const given = [config.env, chosen === null ? {} : config[`env_${chosen}`], more];
  for (const source of given)
    if (isRecord(source)) for (const [name, value] of Object.entries(source)) take(all, name, value);
  const settings: Record<string, unknown> = {};
  const rows: Variables['rows'][number][] = [];
  for (const [name, value] of Object.entries(all)) {
    const key = ours.get(name);
    if (key === undefined || value === '') continue;
    const outcome = settingFor(key, { name, value });
    // What is no value for us would be an error of the daemon at its start.
    if (outcome.verdict !== 'becomes' || moved.has(name)) delete all[name];
    if (moved.has(name)) Object.assign(settings, outcome.settings);
    rows.push({ key: `env.${name}`, value, outcome });
  }
  const names = Object.keys(all).filter((name) => !ours.has(name));
  if (names.length > 0)
    rows.unshift({
      key: 'env',
      value: names.join(', '),
      outcome: becomes('the environment file, which only root may read'),
    });
  if (isRecord(config.env) && Object.keys(config.env).length === 0 && rows.length === 0)
    rows.push({ key: 'env', value: '', outcome: dropped('none') });
  return { environment: all, settings, rows: [...rows, ...environmentRows(config, chosen)] };
}

/** The variables by which the daemon takes settings. */
const ours: ReadonlyMap<string, Key> = new Map(
  keys.flatMap((key) => variablesOf(key).map((name): [string, Key] => [name, key])),
);

/** What the daemon hands on to the app under the same name. */
const moved: ReadonlySet<string> = new Set(['PORT', 'HOST', 'NODE_ENV']);

function take(all: Record<string, string>, name: string, value: unknown): void {
  if (value === undefined || value === null || !/^[A-Za-z_]\w*$/.test(name)) return;
  all[name] = typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function settingFor(key: Key, { name, value }: { name: string; value: string }): Outcome {
  const parsed = settingOf(key).kind.parse(value, 'text');
  if (parsed === undefined)
    return todo(
      `left out: rom-agent reads ${name} itself (${key}: ${settingOf(key).kind.expected}); give the app this one under another name`,
    );
  if (moved.has(name)) return becomes(`${key} = ${settingOf(key).kind.literal(parsed)}`, { [key]: parsed });
  return becomes(`the environment file; rom-agent reads it too, as ${key}`);
}

function environmentRows(
  config: Readonly<Record<string, unknown>>,
  chosen: string | null,
): Variables['rows'] {
  return environmentsOf(config).map((name) => ({
    key: `env_${name}`,
    value: isRecord(config[`env_${name}`]) ? Object.keys(config[`env_${name}`] as object).join(', ') : '',
    outcome:
      name === chosen ? becomes('over the variables of env') : todo(`not taken: --env ${name} takes it`),
  }));
}
