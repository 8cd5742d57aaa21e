import { duration, integer, integerOrAuto, oneOf, path, setting, text } from './kinds.js';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** The settings that stand in a section of the TOML file, `[health]` and the like: the second half of the table. */
export const sections = {
  'start.probe': setting({
    kind: text({
      pattern: /^\/[\x21-\x7e]*$/,
      expected: 'a path that begins with "/", such as "/healthz"',
    }),
    default: null,
    unset: 'none: a worker is ready when it listens',
    example: '/healthz',
    readers: ['worker'],
    description:
      'Path that each new worker must answer (GET) with a status below 500 before it counts as ready. It is asked again until `boot_timeout` is nearly over; then the worker ends with what was wrong.',
  }),
  'health.slow_delay': setting({
    kind: duration({ min: 10, max: hour }),
    default: 500,
    readers: ['policy'],
    description:
      'A worker is degraded while its event-loop delay (the 99th percentile of a second) exceeds this.',
  }),
  'health.slow_limit': setting({
    kind: duration({ min: second, max: hour, zero: 'never' }),
    default: 30 * second,
    readers: ['policy'],
    description:
      'A worker that is degraded for this long while most other workers are not is unhealthy: the master replaces it. 0: never.',
  }),
  'health.probe': setting({
    kind: text({
      pattern: /^\/[\x21-\x7e]*$/,
      expected: 'a path that begins with "/", such as "/healthz"',
    }),
    default: null,
    unset: 'a request that rom-agent answers itself',
    example: '/healthz',
    readers: ['worker'],
    description:
      'Path that a worker without traffic requests (GET) from its own server, before the master pings the systemd watchdog. Any response counts.',
  }),
  'health.master_timeout': setting({
    kind: duration({ min: second, max: hour, zero: 'never' }),
    default: 30 * second,
    description:
      'A master whose event loop stalls for this long is aborted, unless the systemd watchdog does that. 0: never.',
  }),
  'health.capture': setting({
    kind: oneOf('on', 'off'),
    default: 'on',
    readers: ['worker'],
    description:
      'Whether the log gets the stack and the in-flight requests of an unresponsive worker. `on` takes a thread in each worker, 6 to 10 MB.',
  }),
  'memory.max_rss': setting({
    kind: integer({ min: 32, max: 16_777_216, unit: 'MiB' }),
    default: null,
    unset: 'any',
    example: 768,
    readers: ['policy'],
    description: 'The master replaces a worker whose resident set (RSS) exceeds this, in MiB.',
  }),
  'memory.max_heap': setting({
    kind: integer({ min: 0, max: 100, unit: '%' }),
    default: 90,
    readers: ['policy'],
    description:
      'The master replaces a worker whose heap stays above this percentage of its limit, `max_old_space_size`. 0: never.',
  }),
  'memory.pressure': setting({
    kind: integer({ min: 0, max: 100, unit: '%' }),
    default: 90,
    readers: ['policy'],
    description:
      'Percentage of the memory limit of the cgroup above which the master drains and replaces the worker that uses the most memory. 0: never.',
  }),
  'poison.deaths': setting({
    kind: integer({ min: 0, max: 1000 }),
    default: 3,
    readers: ['policy'],
    description:
      'The log names a route (method and path pattern) that was in flight at this many worker deaths within `poison.window`. 0: never.',
  }),
  'poison.window': setting({
    kind: duration({ min: second, max: 24 * hour }),
    default: 10 * minute,
    readers: ['policy'],
    description: 'Time window for `poison.deaths`.',
  }),
  'poison.block': setting({
    kind: duration({ min: second, max: 24 * hour, zero: 'not at all' }),
    default: 0,
    readers: ['policy'],
    description:
      'How long the workers answer requests to such a route with 503, without the app. 0: not at all.',
  }),
  'restart.intensity': setting({
    kind: integerOrAuto({ min: 0, max: 1_000_000 }),
    default: 'auto',
    computed: true,
    readers: ['policy'],
    description:
      'Restart intensity: the master exits after more than this many unexpected worker deaths within `restart.window`. `auto`: 5, plus 5 per worker.',
  }),
  'restart.window': setting({
    kind: duration({ min: second, max: 24 * hour }),
    default: minute,
    readers: ['policy'],
    description: 'Time window for `restart.intensity`.',
  }),
  'restart.crash_delay': setting({
    kind: duration({ min: 1, max: hour }),
    default: 100,
    readers: ['policy'],
    description:
      'Backoff after a crash of a worker that listened: the first delay. It doubles with each crash.',
  }),
  'restart.crash_delay_max': setting({
    kind: duration({ min: 1, max: hour }),
    default: 5 * second,
    readers: ['policy'],
    description: 'Backoff after a crash of a worker that listened: the longest delay.',
  }),
  'restart.boot_delay': setting({
    kind: duration({ min: 1, max: hour }),
    default: second,
    readers: ['policy'],
    description:
      'Backoff after the death of a worker that did not listen yet: the first delay. It doubles with each death.',
  }),
  'restart.boot_delay_max': setting({
    kind: duration({ min: 1, max: hour }),
    default: 30 * second,
    readers: ['policy'],
    description: 'Backoff after the death of a worker that did not listen yet: the longest delay.',
  }),
  'reload.soak': setting({
    kind: duration({ min: 100, max: hour, zero: 'not at all' }),
    default: 5 * second,
    readers: ['policy'],
    description:
      'How long the canary, the first worker of a new generation, serves beside the old workers before the master replaces them. 0: not at all.',
  }),
  'reload.probe': setting({
    kind: text({
      pattern: /^(none|\/[\x21-\x7e]*)$/,
      expected: 'a path that begins with "/", such as "/healthz", or "none"',
    }),
    default: null,
    computed: true,
    defaultText: '`/`; for the built-in app `/healthz`; with `kind` `process` `none`',
    example: '/healthz',
    nothing: 'none',
    readers: ['policy'],
    description:
      'Path that the canary must answer (GET) with a status below 500. `none`: no request is made.',
  }),
  'reload.probe_timeout': setting({
    kind: duration({ min: 100, max: hour }),
    default: 5 * second,
    readers: ['policy'],
    description: 'How long the canary may take to answer `reload.probe`.',
  }),
  'reload.max_errors': setting({
    kind: integer({ min: 0, max: 100, unit: '%' }),
    default: 5,
    readers: ['policy'],
    description:
      'How much higher the error rate of the canary (responses with a status of 500 or more) may be than that of the old workers, in percentage points.',
  }),
  'reload.max_latency': setting({
    kind: integer({ min: 1, max: 1000 }),
    default: 4,
    readers: ['policy'],
    description:
      "How many times the old workers' 90th percentile of response time the canary's may reach. Up to 100 ms is always accepted.",
  }),
  'log.level': setting({
    kind: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    env: ['LOG_LEVEL'],
    default: 'info',
    readers: ['worker'],
    fixed: true,
    description: 'Least severe level that is logged.',
  }),
  'log.format': setting({
    kind: oneOf('auto', 'pretty', 'journal', 'json'),
    env: ['LOG_FORMAT'],
    default: 'auto',
    readers: ['worker'],
    fixed: true,
    description: '`auto`: `pretty` on a terminal, `journal` if systemd reads the output, otherwise `json`.',
  }),
  'log.dir': setting({
    kind: path('the path of a directory'),
    env: ['LOG_DIR'],
    default: null,
    unset: 'no files',
    example: '/var/log/rom-agent',
    readers: ['worker'],
    fixed: true,
    description: 'Directory for daily log files, `YYYY-MM-DD.log`. Relative paths as for `app`.',
  }),
  'log.stats_interval': setting({
    kind: duration({ min: second, max: 24 * hour, zero: 'never' }),
    default: minute,
    readers: ['policy', 'worker'],
    fixed: true,
    description: 'How often the master logs the statistics line. 0: never.',
  }),
} as const;
