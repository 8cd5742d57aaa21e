import { mostWorkers } from '../protocol/limits.js';
import type { Config } from './config.js';
import type { Directories } from './directories.js';
import type { Machine } from './machine.js';
import { heapLimitIn } from './node-args.js';
import { type Key, keys, smallestHeap, type Value } from './settings.js';
import type { Found, Values } from './values.js';

/** The effective value of a setting, computed ones included, and where it comes from. */
export interface Effective<T = unknown> {
  readonly value: T;
  readonly from: string;
  /** What it is with another number of workers, where it follows that. */
  readonly at?: (workers: number) => T;
}

/** A number that may follow that of the workers, with so many of them. */
export function withWorkers({ value, at }: Effective<number>, workers: number): number {
  return at?.(workers) ?? value;
}

export type EffectiveValues = { readonly [K in Key]: Effective<Value<K>> } & {
  readonly workers: Effective<number>;
  readonly max_semi_space_size: Effective<number>;
  readonly max_old_space_size: Effective<number>;
  readonly 'restart.intensity': Effective<number>;
  readonly 'reload.probe': Effective<string>;
  readonly control_socket: Effective<string>;
  readonly state_dir: Effective<string>;
};

/** Where defaults come from. */
export interface Surroundings {
  readonly machine: Machine;
  readonly directories: Directories;
  /** NODE_OPTIONS, which the workers get too. */
  readonly nodeOptions: string | undefined;
}

/** Most workers that `auto` starts; as many as can be asked for. */
/** MiB */
const usualHeap = 512;
const usualBudget = 8192;
const turboSemiSpace = 64;
/** A tenth is for page cache, sockets and what the app itself starts. */
const usableShare = 0.9;
/** Resident sets: of the master, and of a worker without its heap. */
export const masterSize = 64;
export const besidesHeap = 48;
/** V8's own without a heap limit. */
const usualSemiSpace = 16;

/** Replaces `auto` and the defaults that depend on the mode, the machine or the number of workers. */
export function computeDefaults(
  values: Values,
  { machine, directories, nodeOptions }: Surroundings,
): EffectiveValues {
  const plain = Object.fromEntries(
    keys.map((key) => [key, effective<unknown>(values[key])]),
  ) as unknown as EffectiveValues;
  const workers = workersOf(values, machine);
  const memory_budget = budgetOf(values, machine);
  return {
    ...plain,
    workers,
    memory_budget,
    max_old_space_size: heapOf(values, {
      workers: workers.value,
      budget: memory_budget.value,
      machine,
      nodeOptions,
    }),
    max_semi_space_size: semiSpaceOf(values),
    'restart.intensity': intensityOf(values, workers.value),
    'reload.probe': probeOf(values),
    ...pathsOf(values, directories),
  };
}

export function toConfig(values: EffectiveValues, dotenv: Readonly<Record<string, string>>): Config {
  return {
    app: values.app.value,
    args: values.args.value,
    nodeArgs: values.node_args.value,
    workingDirectory: values.working_directory.value,
    mode: values.mode.value,
    workers: values.workers.value,
    port: values.port.value,
    host: values.host.value,
    socketMode: values.socket_mode.value,
    nodeEnv: values.node_env.value,
    dispatch: values.dispatch.value,
    balance: values.balance.value,
    sticky: values.sticky.value,
    stickyCookie: values.sticky_cookie.value,
    maxOldSpaceSize: values.max_old_space_size.value,
    maxSemiSpaceSize: values.max_semi_space_size.value,
    bootTimeout: values.boot_timeout.value,
    drainTimeout: values.drain_timeout.value,
    linger: values.linger.value,
    hangTimeout: values.hang_timeout.value,
    orphanTimeout: values.orphan_timeout.value,
    websockets: values.websockets.value,
    redact: values.redact.value,
    spares: values.spares.value,
    health: {
      slowDelay: values['health.slow_delay'].value,
      slowLimit: values['health.slow_limit'].value,
      probe: values['health.probe'].value,
      masterTimeout: values['health.master_timeout'].value,
      capture: values['health.capture'].value,
    },
    memory: {
      maxRss: values['memory.max_rss'].value,
      maxHeap: values['memory.max_heap'].value,
      pressure: values['memory.pressure'].value,
    },
    poison: {
      deaths: values['poison.deaths'].value,
      window: values['poison.window'].value,
      block: values['poison.block'].value,
    },
    restart: {
      intensity: values['restart.intensity'].value,
      window: values['restart.window'].value,
      crashDelay: values['restart.crash_delay'].value,
      crashDelayMax: values['restart.crash_delay_max'].value,
      bootDelay: values['restart.boot_delay'].value,
      bootDelayMax: values['restart.boot_delay_max'].value,
    },
    log: {
      level: values['log.level'].value,
      format: values['log.format'].value,
      dir: values['log.dir'].value,
      statsInterval: values['log.stats_interval'].value,
    },
    reload: {
      soak: values['reload.soak'].value,
      probe: values['reload.probe'].value === 'none' ? null : values['reload.probe'].value,
      probeTimeout: values['reload.probe_timeout'].value,
      maxErrors: values['reload.max_errors'].value,
      maxLatency: values['reload.max_latency'].value,
    },
    controlSocket: values.control_socket.value,
    stateDir: values.state_dir.value,
    routesPrefix: values.routes_prefix.value,
    dotenv,
  };
}

function effective<T>({ value, source }: Found<T>): Effective<T> {
  return { value, from: source };
}

/** WEB_CONCURRENCY is set by the hosting platform for whatever runs there, not by somebody who chose a mode. */
export function isPlatformHint({ source }: { readonly source: string }): boolean {
  return source.startsWith('WEB_CONCURRENCY');
}

function workersOf({ mode, workers }: Values, machine: Machine): Effective<number> {
  if (mode.value === 'single' && isPlatformHint(workers))
    return { value: 1, from: `mode single, over ${workers.source}` };
  if (workers.value !== 'auto') return { value: workers.value, from: workers.source };
  if (mode.value === 'single') return { value: 1, from: `${workers.source}: mode single` };
  return { value: Math.min(machine.cpus, mostWorkers), from: `${workers.source}: ${machine.cpusFrom}` };
}

function budgetOf({ mode, memory_budget }: Values, machine: Machine): Effective<number | null> {
  if (mode.value !== 'turbo') return { value: null, from: `mode ${mode.value}` };
  if (memory_budget.value !== null) return { value: memory_budget.value, from: memory_budget.source };
  const most = Math.floor(machine.memory * 0.8);
  if (most >= usualBudget) return { value: usualBudget, from: 'default' };
  return { value: most, from: `default: 80 % of the ${machine.memoryFrom}` };
}

function heapOf(
  { max_old_space_size: heap, spares }: Values,
  {
    workers,
    budget,
    machine,
    nodeOptions,
  }: {
    workers: number;
    budget: number | null;
    machine: Machine;
    nodeOptions: string | undefined;
  },
): Effective<number> {
  if (heap.value !== null) return { value: heap.value, from: heap.source };
  // A worker's own flags would win over it in silence.
  const asked = heapLimitIn(nodeOptions);
  if (asked !== null) return { value: Math.max(smallestHeap, asked), from: 'NODE_OPTIONS' };
  if (budget !== null)
    return following(workers, (each) => Math.floor(budget / each), 'default: memory_budget / workers');
  if (!machine.memoryIsLimited) return { value: usualHeap, from: 'default' };
  const share = (each: number) => Math.max(smallestHeap, heapShare(machine.memory, each + spares.value));
  return following(workers, share, `default: a share of the ${machine.memoryFrom}`);
}

function following(workers: number, at: (workers: number) => number, from: string): Effective<number> {
  return { value: at(workers), from, at };
}

/** What a limit of memory leaves for the heap of each worker once all that is not heap has its part, MiB. */
export function heapShare(memory: number, workers: number): number {
  return Math.floor((memory * usableShare - masterSize - workers * besidesHeap) / workers);
}

/** Given a heap limit, V8 makes the semi-space a 128th of it: 4 MiB of 512, a quarter of what it is without a limit. */
function semiSpaceOf({ mode, max_semi_space_size: size }: Values): Effective<number> {
  if (size.value !== null) return { value: size.value, from: size.source };
  if (mode.value === 'turbo') return { value: turboSemiSpace, from: 'default: mode turbo' };
  return { value: usualSemiSpace, from: 'default' };
}

function intensityOf({ 'restart.intensity': intensity }: Values, workers: number): Effective<number> {
  if (intensity.value !== 'auto') return { value: intensity.value, from: intensity.source };
  return following(workers, (each) => 5 + 5 * each, `${intensity.source}: 5 + 5 per worker`);
}

/** Any app answers `/` with something; the built-in one says how it is. */
function probeOf({ app, 'reload.probe': probe }: Values): Effective<string> {
  if (probe.value !== null) return { value: probe.value, from: probe.source };
  return app.value === null
    ? { value: '/healthz', from: 'default: the built-in app' }
    : { value: '/', from: 'default: a hosted app' };
}

function pathsOf(
  { control_socket: socket, state_dir: state }: Values,
  directories: Directories,
): { readonly control_socket: Effective<string>; readonly state_dir: Effective<string> } {
  return {
    control_socket:
      socket.value === null
        ? { value: `${directories.runtime}/control.sock`, from: `default: ${directories.runtimeFrom}` }
        : { value: socket.value, from: socket.source },
    state_dir:
      state.value === null
        ? { value: directories.state, from: `default: ${directories.stateFrom}` }
        : { value: state.value, from: state.source },
  };
}
