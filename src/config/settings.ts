import {
  duration,
  host,
  integer,
  integerOrAuto,
  type Kind,
  oneOf,
  path,
  permissions,
  text,
  words,
} from './kinds.js';
import { isNodeFlag } from './node-args.js';

/** One setting. Its flag, its environment variable and its TOML key follow from its name. */
export interface Setting<T, D extends T | null = T | null> {
  readonly kind: Kind<T>;
  /** Environment variables, the first that is set counts. Unless given: ROM_AGENT_<KEY>. */
  readonly env?: readonly string[];
  /** What holds where nothing is set; null where that is "unset" or computed. */
  readonly default: D;
  /** What null means, in a word or two. */
  readonly unset?: string;
  /** How a computed default is computed. */
  readonly defaultText?: string;
  /** A value for the example file where there is no default to show. */
  readonly example?: NoInfer<T>;
  /** One line, with the unit where there is one. */
  readonly description: string;
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** The heap that a worker cannot do without, MiB. */
export const smallestHeap = 32;

/**
 * Every setting there is, by its TOML key; a dot stands for a section, so `log.level` is `level` under `[log]`.
 * Parsing, flags, `check`, docs/reference/settings.md and packaging/rom-agent.toml all derive from this table.
 */
export const settings = {
  app: setting({
    kind: path('the path of a JavaScript or TypeScript module'),
    default: null,
    unset: 'the built-in app',
    example: '/srv/app/server.js',
    description:
      "The app's module, or a command of one of its packages, such as `next`. A relative path starts at the working directory, or at the directory of the file that sets it.",
  }),
  args: setting({
    kind: words({ expected: 'an array of strings, or words as in a shell' }),
    default: [],
    example: ['start', '--verbose'],
    description:
      "The app's arguments: `process.argv` from the third on. With `serve` they may stand behind `--` instead.",
  }),
  node_args: setting({
    kind: words({
      expected:
        'flags of Node with which an app runs, each beginning with "-" and with its value behind "=", such as "--import=./register.mjs"',
      each: isNodeFlag,
    }),
    default: [],
    example: ['--import=./register.mjs', '--enable-source-maps'],
    description: 'Flags of Node for the workers.',
  }),
  working_directory: setting({
    kind: path('the path of a directory'),
    default: null,
    unset: "the folder of the app's package",
    defaultText:
      "the folder of the nearest `package.json` above the app, else the app's own; the current directory where that is inside of the app's package",
    example: '/srv/app',
    description: 'Where the workers run. Relative paths as for `app`.',
  }),
  mode: setting({
    kind: oneOf('single', 'cluster', 'turbo'),
    default: 'cluster',
    description:
      '`single`: one worker; `cluster`: one per CPU; `turbo`: one per CPU, with `memory_budget` shared out among them.',
  }),
  workers: setting({
    kind: integerOrAuto({ min: 1, max: 1024 }),
    env: ['WORKERS', 'WEB_CONCURRENCY'],
    default: 'auto',
    description:
      'Number of workers. `auto`: one per CPU that affinity and the CPU quota of the cgroup allow; in mode `single` 1.',
  }),
  port: setting({
    kind: integer({ min: 0, max: 65535 }),
    env: ['PORT'],
    default: 3000,
    description: 'TCP port; 0 takes any free one. Not used where `host` is a path.',
  }),
  host: setting({
    kind: host(),
    env: ['HOST'],
    default: null,
    unset: 'all addresses',
    example: '127.0.0.1',
    description: 'Name or address to listen on, or the absolute path of a unix socket.',
  }),
  socket_mode: setting({
    kind: permissions(),
    default: null,
    unset: 'what the umask gives',
    example: 0o660,
    description: 'Permission bits of the unix socket, in octal.',
  }),
  node_env: setting({
    kind: text({ pattern: /^[\w.-]+$/, expected: 'a word such as "production" or "development"' }),
    env: ['NODE_ENV'],
    default: 'production',
    description: 'NODE_ENV of the workers.',
  }),
  dispatch: setting({
    kind: oneOf('shared', 'round-robin', 'reuseport'),
    default: 'shared',
    description:
      'How connections reach the workers: `shared`: one queue, from which each takes; `round-robin`: the master hands ' +
      'them out; `reuseport`: a queue per worker (Linux, Node 22.12 or later).',
  }),
  balance: setting({
    kind: oneOf('auto', 'on', 'off'),
    default: 'auto',
    description:
      'Whether kept connections are evened out among the workers, with `dispatch` `shared`. `auto`: where that is safe, ' +
      'and one log line says where it is not; `on`: also on a Node that it is not tested on, and where the app listens ' +
      'for connections beside `node:http`; `off`: for an app that keeps something about a client with its connection, ' +
      'such as NTLM.',
  }),
  sticky: setting({
    kind: oneOf('off', 'address', 'cookie'),
    default: 'off',
    description:
      'Whether a client always comes to the same worker, as Socket.IO with long polling needs it: `address`: by its ' +
      'address; `cookie`: by a cookie that it is given.',
  }),
  sticky_cookie: setting({
    kind: text({ pattern: /^[\w!#$%&'*+.^`|~-]+$/, expected: 'the name of a cookie, such as "rom-agent"' }),
    default: 'rom-agent',
    description: 'The name of that cookie.',
  }),
  max_old_space_size: setting({
    kind: integer({ min: smallestHeap, max: 1_048_576, unit: 'MiB' }),
    env: ['MAX_OLD_SPACE_SIZE'],
    default: null,
    defaultText:
      '512 MiB; where the cgroup limits the memory, a share of that; in mode `turbo` `memory_budget` divided by `workers`',
    example: 512,
    description: 'Heap limit of one worker, in MiB.',
  }),
  max_semi_space_size: setting({
    kind: integer({ min: 1, max: 1024, unit: 'MiB' }),
    default: null,
    defaultText: '16 MiB; in mode `turbo` 64 MiB',
    example: 64,
    description:
      'Largest size of one semi-space, where new objects of a worker live, in MiB; it begins with half of it.',
  }),
  memory_budget: setting({
    kind: integer({ min: smallestHeap, max: 16_777_216, unit: 'MiB' }),
    default: null,
    unset: 'not used',
    defaultText: '8192 MiB, but at most 80 % of the memory that the machine or the cgroup has',
    example: 8192,
    description: 'Heap of all workers together in mode `turbo`, in MiB. Not used in the other modes.',
  }),
  boot_timeout: setting({
    kind: duration({ min: 100, max: hour }),
    default: 30 * second,
    description: 'A worker that does not listen within this time is killed.',
  }),
  drain_timeout: setting({
    kind: duration({ min: 100, max: 24 * hour }),
    default: 30 * second,
    description: 'A worker that still drains after this time cuts what is left and ends.',
  }),
  linger: setting({
    kind: duration({ min: 0, max: hour }),
    default: 500,
    description:
      'How long a drain keeps an idle keep-alive connection for one more request, and one that had its last answer until the client closes it. Below `drain_timeout`.',
  }),
  hang_timeout: setting({
    kind: duration({ min: second, max: hour }),
    default: 10 * second,
    description: 'A worker that is silent for this long is taken for hung and replaced.',
  }),
  orphan_timeout: setting({
    kind: duration({ min: 0, max: hour }),
    default: 5 * second,
    description: 'How long workers may finish their requests after the master was killed.',
  }),
  websockets: setting({
    kind: oneOf('close', 'leave'),
    default: 'close',
    description:
      'What a drain does with WebSockets: `close`: sends a Close frame (1001, going away); `leave`: leaves them to the app.',
  }),
  redact: setting({
    kind: oneOf('on', 'off'),
    default: 'on',
    description:
      'What the log, `status` and `stack` tell of requests in flight and of children that a hung worker waits for: `on`: the route (`/reset/:id`) and the name of the program; `off`: the path without its query, and the command line.',
  }),
  control_socket: setting({
    kind: path('the path of a unix socket'),
    default: null,
    defaultText:
      '`control.sock` in `$RUNTIME_DIRECTORY`, for root in `/run/rom-agent`, else in `$XDG_RUNTIME_DIR/rom-agent`; a checkout has its own',
    example: '/run/rom-agent/control.sock',
    description: 'The socket by which `rom-agent reload` and the other commands reach the daemon.',
  }),
  state_dir: setting({
    kind: path('the path of a directory'),
    default: null,
    defaultText:
      '`$STATE_DIRECTORY`, for root `/var/lib/rom-agent`, else `~/.local/state/rom-agent`; a checkout has its own',
    example: '/var/lib/rom-agent',
    description: 'Directory for what outlives the daemon: the history of reloads.',
  }),
  routes_prefix: setting({
    kind: text({
      pattern: /^(\/[\w.~-]+)+$/,
      expected: 'a path that begins with "/" and does not end with one, such as "/_ops"',
    }),
    default: null,
    unset: 'none',
    example: '/_ops',
    description: 'Path prefix under which a hosted app answers the operational routes, too.',
  }),
  spares: setting({
    kind: integer({ min: 0, max: 64 }),
    default: 0,
    description:
      'Workers that have booted and wait, without listening, to take over from one that dies. Not with `dispatch` `reuseport`.',
  }),
  'health.slow_delay': setting({
    kind: duration({ min: 10, max: hour }),
    default: 500,
    description: "A worker whose event loop is later than this (a second's 99th percentile) counts as slow.",
  }),
  'health.slow_limit': setting({
    kind: duration({ min: second, max: hour, zero: 'never' }),
    default: 30 * second,
    description: 'A worker that is slow for this long, while most others are not, is replaced; 0: never.',
  }),
  'health.probe': setting({
    kind: text({
      pattern: /^\/[\x21-\x7e]*$/,
      expected: 'a path that begins with "/", such as "/healthz"',
    }),
    default: null,
    unset: 'a request that rom-agent answers itself',
    example: '/healthz',
    description:
      'What a worker without traffic is asked (GET), through its own server, before systemd is told that the service is alive. Any answer will do.',
  }),
  'health.master_timeout': setting({
    kind: duration({ min: second, max: hour, zero: 'never' }),
    default: 30 * second,
    description:
      'A master whose event loop stands still for this long is aborted, where no watchdog of systemd does that; 0: never.',
  }),
  'health.capture': setting({
    kind: oneOf('on', 'off'),
    default: 'on',
    description:
      'Whether a worker that hangs is asked where it is, for its stack and its requests in the log. `on` takes a thread in each worker, 6 to 10 MB.',
  }),
  'memory.max_rss': setting({
    kind: integer({ min: 32, max: 16_777_216, unit: 'MiB' }),
    default: null,
    unset: 'any',
    example: 768,
    description: 'A worker whose resident set is larger is replaced, in MiB.',
  }),
  'memory.max_heap': setting({
    kind: integer({ min: 0, max: 100, unit: '%' }),
    default: 90,
    description:
      'A worker whose heap stays above this share of its limit (`max_old_space_size`) is replaced, in percent; 0: any.',
  }),
  'memory.pressure': setting({
    kind: integer({ min: 0, max: 100, unit: '%' }),
    default: 90,
    description:
      "Share of the cgroup's memory limit from which on the worker with the most memory is drained and replaced, in percent; 0: never.",
  }),
  'poison.deaths': setting({
    kind: integer({ min: 0, max: 1000 }),
    default: 3,
    description:
      'A kind of request (method and route) that was in flight at so many deaths of workers is named in the log; 0: never.',
  }),
  'poison.window': setting({
    kind: duration({ min: second, max: 24 * hour }),
    default: 10 * minute,
    description: 'The time over which `poison.deaths` counts.',
  }),
  'poison.block': setting({
    kind: duration({ min: second, max: 24 * hour, zero: 'not at all' }),
    default: 0,
    description:
      'For how long such a request is then answered with 503 and does not reach the app; 0: not at all.',
  }),
  'restart.intensity': setting({
    kind: integerOrAuto({ min: 0, max: 1_000_000 }),
    default: 'auto',
    description:
      'More unexpected deaths of workers than this within `restart.window` end the master. `auto`: 5, and 5 more per worker.',
  }),
  'restart.window': setting({
    kind: duration({ min: second, max: 24 * hour }),
    default: minute,
    description: 'The time over which `restart.intensity` counts.',
  }),
  'restart.crash_delay': setting({
    kind: duration({ min: 1, max: hour }),
    default: 100,
    description: 'First delay of a restart after crashes at run time; it doubles from crash to crash.',
  }),
  'restart.crash_delay_max': setting({
    kind: duration({ min: 1, max: hour }),
    default: 5 * second,
    description: 'Longest delay of a restart after crashes at run time.',
  }),
  'restart.boot_delay': setting({
    kind: duration({ min: 1, max: hour }),
    default: second,
    description: 'First delay of a restart after a death before listening; it doubles from death to death.',
  }),
  'restart.boot_delay_max': setting({
    kind: duration({ min: 1, max: hour }),
    default: 30 * second,
    description: 'Longest delay of a restart after deaths before listening.',
  }),
  'reload.soak': setting({
    kind: duration({ min: 100, max: hour, zero: 'not at all' }),
    default: 5 * second,
    description:
      'How long the first worker of a new generation serves beside the old ones before the others are replaced; 0: not at all.',
  }),
  'reload.probe': setting({
    kind: text({
      pattern: /^(none|\/[\x21-\x7e]*)$/,
      expected: 'a path that begins with "/", such as "/healthz", or "none"',
    }),
    default: null,
    defaultText: '`/`; for the built-in app `/healthz`',
    example: '/healthz',
    description:
      'What the first worker of a new generation is asked (GET) and has to answer with a status below 500; `none`: nothing.',
  }),
  'reload.probe_timeout': setting({
    kind: duration({ min: 100, max: hour }),
    default: 5 * second,
    description: 'The time for that answer.',
  }),
  'reload.max_errors': setting({
    kind: integer({ min: 0, max: 100, unit: '%' }),
    default: 5,
    description:
      "By how much the first worker's share of answers with a status of 500 or more may exceed that of the old ones, in percent of its answers.",
  }),
  'reload.max_latency': setting({
    kind: integer({ min: 1, max: 1000 }),
    default: 4,
    description:
      "How many times as long the first worker's slowest tenth of answers may take as that of the old ones; up to 100 ms is always fine.",
  }),
  'log.level': setting({
    kind: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    env: ['LOG_LEVEL'],
    default: 'info',
    description: 'The least severe lines that are written.',
  }),
  'log.format': setting({
    kind: oneOf('auto', 'pretty', 'journal', 'json'),
    env: ['LOG_FORMAT'],
    default: 'auto',
    description: '`auto`: `pretty` on a terminal, `journal` where systemd reads the output, else `json`.',
  }),
  'log.dir': setting({
    kind: path('the path of a directory'),
    env: ['LOG_DIR'],
    default: null,
    unset: 'no files',
    example: '/var/log/rom-agent',
    description: 'Directory for one log file a day, `YYYY-MM-DD.log`. Relative paths as for `app`.',
  }),
  'log.stats_interval': setting({
    kind: duration({ min: second, max: 24 * hour, zero: 'never' }),
    default: minute,
    description: 'How often the statistics line is written; 0: never.',
  }),
} as const;

export type Key = keyof typeof settings;
/** The type of a setting's value; with null where it may be unset. */
export type Value<K extends Key> = (typeof settings)[K] extends Setting<infer T, infer D> ? T | D : never;

export const keys = Object.keys(settings) as readonly Key[];

/** The setting as one of unknown value, for code that treats all of them alike. */
export function settingOf(key: Key): Setting<unknown> {
  return settings[key] as Setting<unknown>;
}

/** `--drain-timeout`; null for the app, which is a plain argument. */
export function flagOf(key: Key): string | null {
  return key === 'app' ? null : `--${key.replaceAll(/[._]/g, '-')}`;
}

/** The name under which a parsed flag is handed to loadConfig, commander's: `drainTimeout`. */
export function flagNameOf(key: Key): string {
  return key.replaceAll(/[._](\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** The environment variables of a setting; the first that is set counts. */
export function variablesOf(key: Key): readonly string[] {
  return settingOf(key).env ?? [`ROM_AGENT_${key.replaceAll('.', '_').toUpperCase()}`];
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

/**
 * Whether somebody has set it to something else than its default. One that `auto` or the machine decides is as it would
 * be by itself, unless it was given.
 */
export function isChanged(
  key: Key,
  { value, from }: { readonly value: unknown; readonly from: string },
): boolean {
  return !from.startsWith('default') && value !== settingOf(key).default;
}

/** Where the configuration file is named. The default path may be missing; one that is named must exist. */
export const configFile = {
  flag: '--config',
  flagName: 'config',
  variable: 'ROM_AGENT_CONFIG',
  path: '/etc/rom-agent/rom-agent.toml',
} as const;

function setting<T, const D extends T | null>(definition: Setting<T, D>): Setting<T, D> {
  return definition;
}
