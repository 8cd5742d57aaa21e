import { isAbsolute, resolve } from 'node:path';
import type { Problem } from '../errors.js';
import {
  type JobConfig,
  type JobKey,
  type JobValue,
  type JobWork,
  jobFieldOf,
  jobKeys,
  jobName,
  jobTable,
  requestLine,
} from '../settings/jobs.js';
import { showDuration } from '../settings/kinds.js';
import { settingOf } from '../settings/settings.js';
import type { Values } from './sources.js';
import { closest } from './spelling.js';

/** The section `jobs` of a configuration file. */
export interface GivenJobs {
  /** As the parser has it. */
  readonly raw: unknown;
  /** Of the file, for the operator. */
  readonly source: string;
  /** Directory at which relative paths start. */
  readonly base: string;
}

type Table = Readonly<Record<string, unknown>>;

/** The jobs of a configuration; those with a mistake are left out, and the mistakes are added to `problems`. */
export async function readJobs(given: GivenJobs | null, problems: Problem[]): Promise<readonly JobConfig[]> {
  if (given === null) return [];
  const { raw, source } = given;
  if (!isTable(raw)) {
    problems.push({ field: 'jobs', value: raw, source, expected: 'a table for each job, [jobs.NAME]' });
    return [];
  }
  const jobs: JobConfig[] = [];
  for (const [name, table] of Object.entries(raw)) {
    const found: Problem[] = [];
    const job = await readJob({ name, table, given }, found);
    problems.push(...found);
    if (found.length === 0 && job !== null) jobs.push(job);
  }
  return jobs;
}

interface Input {
  readonly name: string;
  readonly table: unknown;
  readonly given: GivenJobs;
}

async function readJob({ name, table, given }: Input, problems: Problem[]): Promise<JobConfig | null> {
  const { source, base } = given;
  const wrong = (field: string, value: unknown, expected: string): void => {
    problems.push({ field: `jobs.${name}${field === '' ? '' : `.${field}`}`, value, source, expected });
  };
  if (!jobName.pattern.test(name)) wrong('', name, jobName.expected);
  if (!isTable(table)) {
    // `schedule = ` right below [jobs] lacks the name.
    const isField = jobKeys.some((key) => key === name);
    wrong(
      '',
      table,
      isField ? `a section with the name of the job, [jobs.NAME]` : `a section, [jobs.${name}]`,
    );
    return null;
  }
  for (const key of Object.keys(table)) {
    if (isJobKey(key)) continue;
    const guess = closest(key, jobKeys);
    const hint = guess === undefined ? '' : `; did you mean ${guess}?`;
    wrong(key, isTable(table[key]) ? {} : table[key], `a setting of a job that exists${hint}`);
  }
  const of = <K extends JobKey>(key: K): JobValue<K> | undefined => {
    if (!Object.hasOwn(table, key)) return (jobFieldOf(key).default ?? undefined) as JobValue<K> | undefined;
    const { kind } = jobFieldOf(key);
    const value = kind.parse(table[key], 'toml');
    if (value === undefined) wrong(key, table[key], kind.expectedFor?.(table[key]) ?? kind.expected);
    return value as JobValue<K> | undefined;
  };
  const work = workOf({ table, of, base, wrong });
  const schedule = of('schedule');
  if (schedule === undefined && !Object.hasOwn(table, 'schedule'))
    wrong('schedule', undefined, jobTable.schedule.kind.expected);
  const timezone = of('timezone') ?? null;
  const jitter = of('jitter') ?? 0;
  const { timeout, overlap, missed, retries, backoff } = {
    ...{ timeout: of('timeout') ?? 0, overlap: of('overlap') ?? 'skip', missed: of('missed') ?? 'once' },
    ...{ retries: of('retries') ?? 0, backoff: of('backoff') ?? 1 },
  } as const;
  const rest = {
    ...{ memoryLimit: of('memory_limit') ?? null, onStop: of('on_stop') ?? 'wait' },
    ...{ onLost: of('on_lost') ?? 'report', env: of('env') ?? {}, enabled: of('enabled') ?? true },
  } as const;
  if (schedule !== undefined) await checkSchedule({ schedule, timezone, jitter, wrong });
  if (work === null || schedule === undefined) return null;
  return { name, schedule, timezone, work, timeout, overlap, missed, retries, backoff, jitter, ...rest };
}

type Wrong = (field: string, value: unknown, expected: string) => void;

const works = ['command', 'module', 'request'] as const;

function workOf({
  table,
  of,
  base,
  wrong,
}: {
  readonly table: Table;
  readonly of: <K extends JobKey>(key: K) => JobValue<K> | undefined;
  readonly base: string;
  readonly wrong: Wrong;
}): JobWork | null {
  const given = works.filter((key) => Object.hasOwn(table, key));
  const [first, second] = given;
  if (first === undefined) {
    wrong('', undefined, 'one of command, module and request, which says what the job does');
    return null;
  }
  if (second !== undefined)
    wrong(second, table[second], `only one of command, module and request, and there is ${first} already`);
  for (const [key, owner] of [['function', 'module'] as const, ['body', 'request'] as const]) {
    if (Object.hasOwn(table, key) && first !== owner)
      wrong(key, table[key], `${owner} beside it, or no ${key}`);
  }
  if (first === 'command') {
    const command = of('command');
    return command === undefined ? null : { kind: 'command', command };
  }
  if (first === 'module') {
    const path = of('module');
    if (path === undefined) return null;
    return {
      kind: 'module',
      path: isAbsolute(path) ? path : resolve(base, path),
      export: of('function') ?? 'default',
    };
  }
  const [, method = '', path = ''] = requestLine.exec(of('request') ?? '') ?? [];
  const body = of('body') ?? null;
  if (body !== null && (method === 'GET' || method === 'HEAD'))
    wrong('body', body, `no body with ${method}, or another method`);
  return method === '' ? null : { kind: 'request', method, path, body };
}

/** What is wrong with `deploy.schedule`, by the rules of a job's. Loads croner where there is one. */
export async function checkDeploySchedule(
  { 'deploy.schedule': { value, raw, source, state } }: Values,
  problems: Problem[],
): Promise<void> {
  if (value === null || state === 'wrong') return;
  const { faultIn } = await import('../jobs/due.js');
  const fault = faultIn(value);
  if (fault === null) return;
  const expected = `${settingOf('deploy.schedule').kind.expected}, but: ${fault}`;
  problems.push({ field: 'deploy.schedule', value: raw, source, expected });
}

/** Loads croner, which only a configuration with jobs needs. */
async function checkSchedule({
  schedule,
  timezone,
  jitter,
  wrong,
}: {
  readonly schedule: string;
  readonly timezone: string | null;
  readonly jitter: number;
  readonly wrong: Wrong;
}): Promise<void> {
  const { calendarOf, faultIn, shortestInterval } = await import('../jobs/due.js');
  const { isTimezone } = await import('../jobs/zones.js');
  const fault = faultIn(schedule);
  if (fault !== null) wrong('schedule', schedule, `${jobTable.schedule.kind.expected}, but: ${fault}`);
  const hasZone = timezone === null || isTimezone(timezone);
  if (!hasZone) wrong('timezone', timezone, jobTable.timezone.kind.expected);
  if (fault !== null || !hasZone || jitter === 0) return;
  // In which zone makes no difference.
  const shortest = shortestInterval(calendarOf({ schedule, timezone: 'UTC' }), 0);
  if (shortest !== null && jitter >= shortest)
    wrong('jitter', showDuration(jitter), `less than ${showDuration(shortest)}, the time between two runs`);
}

function isJobKey(key: string): key is JobKey {
  return (jobKeys as readonly string[]).includes(key);
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
