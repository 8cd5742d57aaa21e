import { deploySection } from './deploy-section.js';
import { fleetSection } from './fleet-section.js';
import {
  command,
  duration,
  integer,
  integerOrAuto,
  oneOf,
  path,
  setting,
  text,
  webUrl,
  words,
} from './kinds.js';
import { reloadSection } from './reload-section.js';
import { scaleSection } from './worker-count.js';

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
  'health.check': setting({
    kind: text({
      pattern: /^\/[\x21-\x7e]*$/,
      expected: 'a path that begins with "/", such as "/healthz"',
    }),
    default: null,
    unset: 'none: the event loop and the memory are watched',
    example: '/healthz',
    readers: ['worker'],
    description:
      'Path that each worker asks its own app for (GET) while it serves. A worker whose app does not answer it with a status below 500, `health.check_failures` times in a row, is replaced, a new one first: an app may be stuck while its event loop turns. One worker at a time, and the next only after the app of the one before it has answered.',
  }),
  'health.check_interval': setting({
    kind: duration({ min: 100, max: hour }),
    default: 10 * second,
    readers: ['worker'],
    description: 'How often `health.check` is asked.',
  }),
  'health.check_timeout': setting({
    kind: duration({ min: 10, max: hour }),
    default: 5 * second,
    readers: ['worker'],
    description: 'How long an answer to `health.check` may take.',
  }),
  'health.check_failures': setting({
    kind: integer({ min: 1, max: 1000 }),
    default: 3,
    readers: ['policy'],
    description: 'After so many failures of `health.check` in a row a worker is unhealthy.',
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
  'health.stall_report': setting({
    kind: duration({ min: 20, max: hour, zero: 'never' }),
    default: 500,
    readers: ['worker'],
    description:
      'When the event loop of a worker was blocked for longer than this, the log and `rom-agent status` name the function, its file and line, and the requests in flight. 0: never.',
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
  'memory.trim': setting({
    kind: oneOf('on', 'off'),
    default: 'on',
    readers: ['worker'],
    description:
      'Whether a worker that has been at rest for 45 seconds collects its garbage and returns the memory that it needed at its start or under load to the system. It takes some 10 to 50 ms, at most once in ten minutes, and is not done with more than 64 MiB of heap in use.',
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
  'poison.cell': setting({
    kind: oneOf('on', 'off'),
    default: 'off',
    readers: ['policy'],
    description:
      'Whether requests to such a route are served by one worker apart from the others, the cell, instead of being answered with 503: see [suspected requests](../how-to/find-a-hang.md#let-it-die-alone).',
  }),
  'poison.cell_requests': setting({
    kind: integer({ min: 1, max: 1000 }),
    default: 4,
    description:
      'How many requests the cell serves at once; further ones are answered with 503. Each of them is lost when it dies.',
  }),
  'poison.cell_timeout': setting({
    kind: duration({ min: second, max: hour }),
    default: 30 * second,
    readers: ['policy'],
    description:
      'How long a request may take in the cell until it is answered with 504. A cell whose event loop is blocked for longer is killed.',
  }),
  'poison.cell_memory': setting({
    kind: integer({ min: 32, max: 16_777_216, unit: 'MiB' }),
    default: null,
    unset: 'as any other worker',
    example: 512,
    readers: ['policy'],
    description:
      'The master kills the cell when its resident set (RSS) exceeds this, in MiB; its heap limit is no larger.',
  }),
  'shed.event_loop_delay': setting({
    kind: duration({ min: 1, max: hour, zero: 'for as long as it takes' }),
    default: 0,
    readers: ['worker'],
    description:
      'For how long a request may have waited for others of its worker, in the event loop and in the queue of the listening socket. A worker that is further behind answers new requests with 503, without the app: see [overload](../how-to/overload.md). 0: for as long as it takes.',
  }),
  'shed.in_flight': setting({
    kind: integer({ min: 0, max: 1_000_000 }),
    default: 0,
    readers: ['worker'],
    description:
      'How many requests a worker may have in flight; further ones are answered with 503, without the app. 0: any number.',
  }),
  'shed.retry_after': setting({
    kind: duration({ min: second, max: hour }),
    default: second,
    readers: ['worker'],
    description: 'What such an answer says in `Retry-After`, in whole seconds.',
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
  ...reloadSection,
  'metrics.enabled': setting({
    kind: oneOf('on', 'off'),
    default: 'on',
    readers: ['worker'],
    fixed: true,
    description:
      'Whether the workers count requests by route, method and status for [Prometheus](../how-to/prometheus.md). They are asked only when somebody scrapes.',
  }),
  'metrics.http': setting({
    kind: oneOf('on', 'off'),
    default: 'on',
    readers: ['worker'],
    description:
      'Whether `/metrics` is one of the HTTP routes: of the built-in app, or under `routes_prefix`. The control socket has the metrics in any case.',
  }),
  'metrics.app': setting({
    kind: oneOf('on', 'off'),
    default: 'off',
    readers: ['worker'],
    description:
      "Whether the metrics of the app's own prom-client, its default registry, are added up over the workers and told with ours.",
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
  'record.size': setting({
    kind: integer({ min: 0, max: 1024, unit: 'MiB' }),
    default: 8,
    fixed: true,
    description:
      'What the record of decisions may take in `state_dir`, in MiB: `rom-agent why` prints it, and `rom-agent replay` runs it again. 0: none is kept.',
  }),
  'notify.command': setting({
    kind: command(),
    default: [],
    example: ['/usr/local/bin/page-me', '--team', 'web'],
    description:
      'Command that is run, without a shell, when workers die in a loop, a reload is rolled back, a worker is unhealthy for long or memory is short. It gets the notification as JSON on its standard input.',
  }),
  'notify.webhook': setting({
    kind: webUrl(),
    default: null,
    unset: 'none',
    example: 'https://hooks.example.com/rom-agent',
    description: 'URL to which such a notification is sent (POST, JSON). `check` and `config` show it.',
  }),
  'notify.webhook_file': setting({
    kind: path('the path of a file'),
    default: null,
    unset: 'none',
    example: '/etc/rom-agent/webhook-url',
    description:
      'File that holds the URL, where the URL itself is a secret. It takes the place of `notify.webhook`.',
  }),
  'notify.token_file': setting({
    kind: path('the path of a file'),
    default: null,
    unset: 'none',
    example: '/etc/rom-agent/webhook-token',
    description: 'File with a token that the webhook gets as `Authorization: Bearer`. It is read each time.',
  }),
  'notify.interval': setting({
    kind: duration({ min: second, max: 24 * hour }),
    default: 10 * minute,
    description:
      'A notification of a kind is sent at most this often, also across restarts of the service; the next one says how many were left out.',
  }),
  'notify.unhealthy_after': setting({
    kind: duration({ min: second, max: 24 * hour }),
    default: minute,
    description:
      'A worker that is not healthy, or a service that has fewer workers than it wants, for this long is told.',
  }),
  ...scaleSection,
  ...deploySection,
  ...fleetSection,
  'access_log.format': setting({
    kind: oneOf('off', 'combined', 'json'),
    default: 'off',
    readers: ['worker'],
    description:
      'Whether each request gets a line, and of which form: `combined` as Apache and nginx write it, or `json`.',
  }),
  'access_log.file': setting({
    kind: path('the path of a file'),
    default: null,
    unset: "the service's log",
    example: '/var/log/rom-agent/access.log',
    readers: ['worker'],
    description:
      'File of the access log, which all workers append to. It is begun again when it was moved away or deleted. Relative paths as for `app`.',
  }),
  'access_log.sample': setting({
    kind: integer({ min: 0, max: 100, unit: '%' }),
    default: 100,
    readers: ['worker'],
    description: 'Percentage of the requests that the access log has, at random.',
  }),
  'access_log.errors': setting({
    kind: oneOf('on', 'off'),
    default: 'on',
    readers: ['worker'],
    description:
      'Whether the access log has each request that was aborted or answered with a status of 500 or more, whatever `access_log.sample` says.',
  }),
  'access_log.slow': setting({
    kind: duration({ min: 1, max: hour, zero: 'by sample only' }),
    default: 0,
    readers: ['worker'],
    description:
      'The access log has each request that takes this long or longer, whatever `access_log.sample` says. 0: by sample only.',
  }),
  'access_log.request_id': setting({
    kind: oneOf('on', 'off'),
    default: 'on',
    readers: ['worker'],
    description:
      'With an access log: whether each request has an id. It is the `X-Request-Id` of the request, else the trace of its `traceparent`, else a new one. The app finds it in the header `X-Request-Id` of the request, the client in that of the answer (HTTP/1).',
  }),
  'access_log.trusted_proxies': setting({
    kind: words({
      expected:
        'addresses or networks of proxies, such as "127.0.0.1" or "10.0.0.0/8", or "unix" for the clients of a unix socket',
      each: isProxy,
    }),
    default: [],
    readers: ['worker'],
    description:
      'Proxies whose `X-Forwarded-For` the access log believes. Without them the client is who has connected.',
  }),
} as const;

/** `unix`, an address, or a network in CIDR notation. */
function isProxy(text: string): boolean {
  if (text === 'unix') return true;
  const [address = '', bits, ...more] = text.split('/');
  const isIPv6 = /^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(address);
  const isIPv4 = /^\d+(\.\d+){3}$/.test(address) && address.split('.').every((part) => Number(part) <= 255);
  if (!(isIPv4 || isIPv6) || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (isIPv4 ? 32 : 128));
}
