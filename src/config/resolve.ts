import { dirname, join } from 'node:path';
import { mostWorkers } from '../protocol/limits.js';
import { fleetName } from '../settings/fleet-section.js';
import { type ComputedKey, type InEffect, type Key, keys } from '../settings/settings.js';
import { smallestHeap } from '../settings/table.js';
import { boundsOf, leastOf, type OpenRange, rangeOf, type WorkerCount } from '../settings/worker-count.js';
import type { Directories } from './directories.js';
import type { Machine } from './machine.js';
import { packageFolder, readPackage } from './package.js';
import type { ReadFile, Values } from './sources.js';

/** The effective value of a setting, computed ones included, and where it comes from. */
export interface Effective<T = unknown> {
  readonly value: T;
  readonly from: string;
  /** What it is with another number of workers, where it depends on that. */
  readonly at?: (workers: number) => T;
}

export type EffectiveValues = { readonly [K in Key]: Effective<InEffect<K>> };

/** Where defaults come from. */
export interface Surroundings {
  readonly machine: Machine;
  readonly directories: Directories;
  /** NODE_OPTIONS, which the workers get too. */
  readonly nodeOptions: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile: ReadFile;
}

/** Resident sets, MiB: of the master, and of a worker without its heap. */
export const masterSize = 64;
export const besidesHeap = 48;

/** The settings whose value depends on others, on the machine or on the number of workers. */
const computed = {
  workers: workersOf,
  memory_budget: budgetOf,
  max_old_space_size: heapOf,
  max_semi_space_size: semiSpaceOf,
  'restart.intensity': intensityOf,
  'reload.probe': probeOf,
  control_socket: (values, { directories }) =>
    orElse(values.control_socket, {
      value: `${directories.runtime}/control.sock`,
      from: `default: ${directories.runtimeFrom}`,
    }),
  state_dir: stateDirOf,
  'deploy.directory': (values, surroundings) => {
    const { value, from } = stateDirOf(values, surroundings);
    return orElse(values['deploy.directory'], {
      value: `${value}/deploy`,
      from: `default: state_dir (${from})`,
    });
  },
  'fleet.name': fleetNameOf,
} satisfies Computations;
type Computations = { readonly [K in ComputedKey]: Compute<InEffect<K>> } & {
  readonly [K in Key]?: Compute<InEffect<K>>;
};
type Compute<T = unknown> = (values: Values, surroundings: Surroundings) => Effective<T>;

/** MiB */
const usualHeap = 512;
const usualBudget = 8192;
/** V8's own without a heap limit. */
const usualSemiSpace = 16;
const turboSemiSpace = 64;
/** A tenth is for page cache, sockets and what the app itself starts. */
const usableShare = 0.9;

export function resolveValues(values: Values, surroundings: Surroundings): EffectiveValues {
  const computing: Readonly<Record<string, Compute>> = computed;
  const entries = keys.map((key): [Key, Effective] => [
    key,
    computing[key]?.(values, surroundings) ?? asFound<unknown>(values[key]),
  ]);
  return Object.fromEntries(entries) as EffectiveValues;
}

/** A number that may depend on that of the workers, with so many of them. */
export function withWorkers({ value, at }: Effective<number>, workers: number): number {
  return at?.(workers) ?? value;
}

/** A hosting platform sets WEB_CONCURRENCY for whatever runs there: it does not overrule a mode that somebody chose. */
export function isPlatformHint({ source }: { readonly source: string }): boolean {
  return source.startsWith('WEB_CONCURRENCY');
}

/** What a memory limit leaves for the heap of each worker once everything else has its part, MiB. */
export function heapShare(memory: number, workers: number): number {
  return Math.floor((memory * usableShare - masterSize - workers * besidesHeap) / workers);
}

function workersOf({ kind, mode, workers }: Values, { machine }: Surroundings): Effective<WorkerCount> {
  // Two of a bot would answer everything twice.
  const single = kind.value === 'process' ? 'kind process' : mode.value === 'single' ? 'mode single' : null;
  if (single !== null && isPlatformHint(workers))
    return { value: 1, from: `${single}, over ${workers.source}` };
  if (workers.value !== 'auto' && !isOpen(workers.value))
    return { value: workers.value, from: workers.source };
  if (single !== null && workers.value === 'auto') return { value: 1, from: `${workers.source}: ${single}` };
  const cpus = Math.min(machine.cpus, mostWorkers);
  const from = `${workers.source}: ${machine.cpusFrom}`;
  if (workers.value === 'auto') return { value: cpus, from };
  const min = leastOf(workers.value);
  return { value: rangeOf({ min, max: Math.max(min, cpus) }), from };
}

function isOpen(workers: WorkerCount | OpenRange): workers is OpenRange {
  return typeof workers === 'string' && workers.endsWith('auto');
}

function budgetOf({ mode, memory_budget }: Values, { machine }: Surroundings): Effective<number | null> {
  if (mode.value !== 'turbo') return { value: null, from: `mode ${mode.value}` };
  const most = Math.floor(machine.memory * 0.8);
  return orElse<number | null>(
    memory_budget,
    most >= usualBudget
      ? { value: usualBudget, from: 'default' }
      : { value: most, from: `default: 80 % of the ${machine.memoryFrom}` },
  );
}

function heapOf(values: Values, surroundings: Surroundings): Effective<number> {
  const { machine, nodeOptions } = surroundings;
  const { max_old_space_size: heap, spares } = values;
  if (heap.value !== null) return { value: heap.value, from: heap.source };
  // The flags that the master gives to a worker would override NODE_OPTIONS silently.
  const asked = heapLimitIn(nodeOptions);
  if (asked !== null) return { value: Math.max(smallestHeap, asked), from: 'NODE_OPTIONS' };
  // A heap cannot shrink: where the number follows the load, there is room for the most of them from the start.
  const { max } = boundsOf(workersOf(values, surroundings).value);
  const budget = budgetOf(values, surroundings).value;
  if (budget !== null) {
    const share = (each: number) => Math.floor(budget / Math.max(each, max));
    return perWorkers(max, share, 'default: memory_budget / workers');
  }
  if (!machine.memoryIsLimited) return { value: usualHeap, from: 'default' };
  const share = (each: number) =>
    Math.max(smallestHeap, heapShare(machine.memory, Math.max(each, max) + spares.value));
  return perWorkers(max, share, `default: a share of the ${machine.memoryFrom}`);
}

/** The heap limit that an operator has asked for by NODE_OPTIONS, MiB; null: none. */
function heapLimitIn(nodeOptions: string | undefined): number | null {
  const found = [...(nodeOptions ?? '').matchAll(/--max[-_]old[-_]space[-_]size[= ](\d{1,9})(?=\s|"|$)/g)];
  const last = found.at(-1)?.[1];
  return last === undefined ? null : Number(last);
}

/** Given a heap limit, V8 makes the semi-space a 128th of it: 4 MiB of 512, a quarter of what it is without a limit. */
function semiSpaceOf({ mode, max_semi_space_size: size }: Values): Effective<number> {
  return orElse(
    size,
    mode.value === 'turbo'
      ? { value: turboSemiSpace, from: 'default: mode turbo' }
      : { value: usualSemiSpace, from: 'default' },
  );
}

function intensityOf(values: Values, surroundings: Surroundings): Effective<number> {
  const { 'restart.intensity': intensity } = values;
  if (intensity.value !== 'auto') return { value: intensity.value, from: intensity.source };
  const { min } = boundsOf(workersOf(values, surroundings).value);
  return perWorkers(min, (each) => 5 + 5 * each, `${intensity.source}: 5 + 5 per worker`);
}

/** Every app answers `/` with something; the built-in app has a health check. */
function probeOf({ kind, app, 'reload.probe': probe }: Values): Effective<string> {
  if (kind.value === 'process') return { value: 'none', from: 'default: kind process' };
  return orElse(
    probe,
    app.value === null
      ? { value: '/healthz', from: 'default: the built-in app' }
      : { value: '/', from: 'default: a hosted app' },
  );
}

function stateDirOf({ state_dir }: Values, { directories }: Surroundings): Effective<string> {
  return orElse(state_dir, { value: directories.state, from: `default: ${directories.stateFrom}` });
}

function asFound<T>({ value, source }: { readonly value: T; readonly source: string }): Effective<T> {
  return { value, from: source };
}

function orElse<T>(
  { value, source }: { readonly value: T | null; readonly source: string },
  otherwise: Effective<T>,
): Effective<T> {
  return value === null ? otherwise : { value, from: source };
}

function perWorkers(workers: number, at: (workers: number) => number, from: string): Effective<number> {
  return { value: at(workers), from, at };
}

const usualFleet = 'rom-agent';

/** Two services with one Redis must not share jobs and turns to reload unless somebody wants them to. */
function fleetNameOf(values: Values, { env, readFile }: Surroundings): Effective<string> {
  const { app, 'fleet.name': given, 'fleet.redis_url': url, 'fleet.redis_url_file': file } = values;
  if (given.value !== null) return { value: given.value, from: given.source };
  // Nobody else asks for it: no file is read for nothing.
  if (url.value === null && file.value === null) return { value: usualFleet, from: 'default' };
  const service = serviceIn(env);
  if (service !== null) return { value: service, from: 'default: name of the service' };
  const folder = app.value === null ? null : packageFolder(dirname(app.value), readFile);
  const name = folder === null ? null : asFleetName(readPackage(folder, readFile)?.name);
  if (folder === null || name === null) return { value: usualFleet, from: 'default' };
  return { value: name, from: `default: ${join(folder, 'package.json')}` };
}

/** By the directories that systemd or the plist names to it; null: none, or the plain service, whose name tells nothing. */
function serviceIn({ STATE_DIRECTORY, RUNTIME_DIRECTORY }: Surroundings['env']): string | null {
  const made = /^\/(?:var\/lib|var\/db|run|run\/user\/\d+)\/(?:rom-agent[@.])?([^/:]+)(?::|$)/;
  for (const directory of [STATE_DIRECTORY, RUNTIME_DIRECTORY]) {
    const name = asFleetName(made.exec(directory ?? '')?.[1]);
    if (name !== null && name !== usualFleet) return name;
  }
  return null;
}

/** `@acme/shop` as `acme-shop`; null where it can be no name of a fleet. */
function asFleetName(name: unknown): string | null {
  const plain = typeof name === 'string' ? name.replace(/^@/, '').replace('/', '-') : '';
  return fleetName.test(plain) ? plain : null;
}
