import {
  address,
  duration,
  host,
  integer,
  nodeFlags,
  oneOf,
  path,
  permissions,
  setting,
  text,
  words,
} from './kinds.js';
import { sections } from './sections.js';
import { workerCount } from './worker-count.js';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** The smallest heap limit of a worker, MiB. */
export const smallestHeap = 32;

/**
 * Every setting, by its TOML key; a dot stands for a section: `log.level` is `level` under `[log]`. All else derives from
 * this table: the Config, what the core and the workers receive, flags, variables, `check`, completion, the manual page,
 * docs/reference/settings.md and packaging/rom-agent.toml. Setting in kinds.ts explains the fields of an entry.
 *
 * The master reads all settings. `readers` names who else receives one: the core in its Policy (`policyShare` in config.ts),
 * a worker in its WorkerSettings (`workerShare`). A reload changes a setting unless it is `fixed`.
 */
export const table = {
  app: setting({
    kind: path('the path of a JavaScript or TypeScript module'),
    default: null,
    unset: 'the built-in app',
    example: '/srv/app/server.js',
    readers: ['worker'],
    description:
      "The app's module, or a command from one of the app's packages, such as `next`. A relative path starts at the working directory; in the TOML file, at the directory of that file.",
  }),
  kind: setting({
    kind: oneOf('server', 'process'),
    default: 'server',
    readers: ['policy', 'worker'],
    fixed: true,
    description:
      '`server`: the app answers requests, and a worker is ready when it listens. `process`: the app is no server, such as the worker of a queue or a bot: a worker is ready when its module has been loaded and it has run for a second. See [background processes](../how-to/background-processes.md).',
  }),
  wait_ready: setting({
    kind: oneOf('on', 'off'),
    default: 'off',
    readers: ['worker'],
    description:
      "With `kind` `process`. `on`: a worker is ready when the app calls `process.send('ready')`, within `boot_timeout`.",
  }),
  args: setting({
    kind: words({ expected: 'an array of strings, or words as in a shell' }),
    default: [],
    example: ['start', '--verbose'],
    readers: ['worker'],
    description:
      'Arguments of the app: `process.argv` from the third element on. On the command line of `serve` they may follow `--` instead.',
  }),
  node_args: setting({
    kind: nodeFlags(),
    default: [],
    example: ['--import=./register.mjs', '--enable-source-maps'],
    description: 'Node flags for the workers.',
  }),
  working_directory: setting({
    kind: path('the path of a directory'),
    default: null,
    unset: "the folder of the app's package",
    defaultText:
      "the folder of the nearest `package.json` above the app, or the app's own folder if there is none; the current directory if it is inside the app's package",
    example: '/srv/app',
    description: 'Working directory of the workers. Relative paths as for `app`.',
  }),
  mode: setting({
    kind: oneOf('single', 'cluster', 'turbo'),
    default: 'cluster',
    readers: ['worker'],
    fixed: true,
    description:
      '`single`: one worker. `cluster`: one worker per CPU. `turbo`: one worker per CPU, and `memory_budget` is divided among the heaps of the workers.',
  }),
  workers: setting({
    kind: workerCount({ min: 1, max: 1024 }),
    env: ['WORKERS', 'WEB_CONCURRENCY'],
    default: 'auto',
    computed: true,
    readers: ['policy'],
    fixed: true,
    description:
      'Number of workers. `auto`: one per CPU that the CPU affinity and the CPU quota of the cgroup allow; 1 in mode `single`, and with `kind` `process`. A range such as `2..8` or `2..auto`: the service scales itself by its load within it, see [autoscale](../how-to/autoscale.md).',
  }),
  port: setting({
    kind: integer({ min: 0, max: 65535 }),
    env: ['PORT'],
    default: 3000,
    fixed: true,
    description:
      'TCP port; 0 takes any free port. Ignored if `host` is a path. With `kind` `process` it is what the app finds in `PORT`, if it is set.',
  }),
  host: setting({
    kind: host(),
    env: ['HOST'],
    default: null,
    unset: 'all addresses',
    example: '127.0.0.1',
    fixed: true,
    description: 'Host name or IP address to listen on, or the absolute path of a unix socket.',
  }),
  listen_wait: setting({
    kind: duration({ min: 0, max: hour }),
    default: 0,
    readers: ['policy', 'worker'],
    fixed: true,
    description:
      'How long the workers wait for a TCP port that another process listens on. They have loaded the app by then, and take the port as soon as it is free, so that one service replaces another on the same port within milliseconds: see [releases](../how-to/release.md). `boot_timeout` does not count this time. 0: the start fails at once. Not with `dispatch` `reuseport`.',
  }),
  socket_mode: setting({
    kind: permissions(),
    default: null,
    unset: 'what the umask gives',
    example: 0o660,
    fixed: true,
    description: 'Permission bits of the unix socket, in octal.',
  }),
  node_env: setting({
    kind: text({ pattern: /^[\w.-]+$/, expected: 'a word such as "production" or "development"' }),
    env: ['NODE_ENV'],
    default: 'production',
    description: '`NODE_ENV` of the workers.',
  }),
  dispatch: setting({
    kind: oneOf('shared', 'round-robin', 'reuseport'),
    default: 'shared',
    readers: ['worker'],
    fixed: true,
    description:
      'How connections reach the workers. `shared`: all workers accept from one listening socket. `round-robin`: the master accepts and hands connections out in turn. `reuseport`: each worker has its own listening socket (Linux, Node 22.12 or later).',
  }),
  balance: setting({
    kind: oneOf('auto', 'on', 'off'),
    default: 'auto',
    readers: ['worker'],
    description:
      'Whether idle keep-alive connections move from busy workers to others, with `dispatch` `shared`. `auto`: where that is safe; a log line names the reason where it is not. `on`: also on a Node version that it is not tested on, and where the app listens for connections other than HTTP. `off`: never, for an app that stores state with a connection, such as NTLM authentication.',
  }),
  sticky: setting({
    kind: oneOf('off', 'address', 'cookie'),
    default: 'off',
    readers: ['worker'],
    fixed: true,
    description:
      'Sticky sessions: a client always reaches the same worker, as Socket.IO with long polling requires. `address`: by the IP address of the client. `cookie`: by a cookie that the first response sets.',
  }),
  sticky_cookie: setting({
    kind: text({ pattern: /^[\w!#$%&'*+.^`|~-]+$/, expected: 'the name of a cookie, such as "rom-agent"' }),
    default: 'rom-agent',
    readers: ['worker'],
    fixed: true,
    description: 'Name of the cookie with `sticky` `cookie`.',
  }),
  max_old_space_size: setting({
    kind: integer({ min: smallestHeap, max: 1_048_576, unit: 'MiB' }),
    env: ['MAX_OLD_SPACE_SIZE'],
    default: null,
    computed: true,
    defaultText:
      '512 MiB; a share of the memory limit if the cgroup has one; in mode `turbo` `memory_budget` divided by `workers`',
    example: 512,
    description: "Heap limit of each worker (V8's old space), in MiB.",
  }),
  max_semi_space_size: setting({
    kind: integer({ min: 1, max: 1024, unit: 'MiB' }),
    default: null,
    computed: true,
    defaultText: '16 MiB; in mode `turbo` 64 MiB',
    example: 64,
    description:
      "Maximum size of a semi-space (V8's young generation) of each worker, in MiB. A worker starts with half of it.",
  }),
  memory_budget: setting({
    kind: integer({ min: smallestHeap, max: 16_777_216, unit: 'MiB' }),
    default: null,
    unset: 'not used',
    defaultText: '8192 MiB, but at most 80 % of the memory of the machine or the cgroup',
    example: 8192,
    description: 'Heap limit of all workers together in mode `turbo`, in MiB. Ignored in the other modes.',
  }),
  worker_ports: setting({
    kind: integer({ min: 1, max: 65535 }),
    default: null,
    unset: 'none',
    example: 9001,
    readers: ['worker'],
    fixed: true,
    description:
      'First of the TCP ports by which each worker can be reached alone, beside the port that all share: worker 1 listens on this one, worker 2 on the next, and so on. On `host` if that is an address, else on 127.0.0.1. For [stickiness behind nginx](../how-to/nginx.md#a-port-for-each-worker), and for looking at one worker.',
  }),
  keep_alive_timeout: setting({
    kind: duration({ min: 100, max: hour, zero: 'as the app has it' }),
    default: 0,
    readers: ['worker'],
    description:
      "How long the app's servers keep an idle connection open (`server.keepAliveTimeout`). It replaces what the app has set by the time it listens. Longer than the idle time of the load balancer: see [nginx](../how-to/nginx.md#who-closes-an-idle-connection). 0: as the app has it; Node's own default is 5 s.",
  }),
  boot_timeout: setting({
    kind: duration({ min: 100, max: hour }),
    default: 30 * second,
    readers: ['policy'],
    description:
      'The master kills a worker that does not listen (with `kind` `process`: is not ready) within this time.',
  }),
  drain_timeout: setting({
    kind: duration({ min: 100, max: 24 * hour }),
    default: 30 * second,
    readers: ['policy'],
    description:
      'A draining worker closes its remaining connections after this time and exits. With `kind` `process`: how long the app may take to end after SIGTERM.',
  }),
  lame_duck: setting({
    kind: duration({ min: 0, max: hour }),
    default: 0,
    readers: ['policy'],
    description:
      'How long a stop waits before it drains, while `/readyz` answers 503 and everything is still served: load balancers learn late that an instance leaves. With an app it is `/readyz` below `routes_prefix` that says so. A second SIGTERM or `rom-agent stop` ends the wait. A reload has none. 0: the drain begins at once.',
  }),
  linger: setting({
    kind: duration({ min: 0, max: hour }),
    default: 500,
    readers: ['worker'],
    description:
      'How long a draining worker keeps an idle keep-alive connection open for one more request, and keeps a connection open after its last response so that the client can close it. Less than `drain_timeout`.',
  }),
  hang_timeout: setting({
    kind: duration({ min: second, max: hour }),
    default: 10 * second,
    readers: ['policy'],
    description: 'A worker that sends no heartbeat for this long is unresponsive: the master replaces it.',
  }),
  orphan_timeout: setting({
    kind: duration({ min: 0, max: hour }),
    default: 5 * second,
    readers: ['worker'],
    fixed: true,
    description: 'How long the workers may finish their in-flight requests after the master was killed.',
  }),
  websockets: setting({
    kind: oneOf('close', 'leave'),
    default: 'close',
    readers: ['worker'],
    description:
      'What a draining worker does with WebSockets. `close`: it sends a Close frame (1001, going away). `leave`: the app closes them.',
  }),
  redact: setting({
    kind: oneOf('on', 'off'),
    default: 'on',
    readers: ['worker'],
    description:
      'How the log, `status` and `stack` show in-flight requests, and the child processes that an unresponsive worker waits for. `on`: the route (`/reset/:id`) and the name of the program. `off`: the path without its query, and the command line.',
  }),
  control_socket: setting({
    kind: path('the path of a unix socket'),
    default: null,
    computed: true,
    defaultText:
      '`control.sock` in `$RUNTIME_DIRECTORY`; without it in `/run/rom-agent` for root, in `$XDG_RUNTIME_DIR/rom-agent` for others; a checkout has its own',
    example: '/run/rom-agent/control.sock',
    fixed: true,
    description: 'Unix socket on which the daemon answers `rom-agent reload` and the other commands.',
  }),
  state_dir: setting({
    kind: path('the path of a directory'),
    default: null,
    computed: true,
    defaultText:
      '`$STATE_DIRECTORY`; without it `/var/lib/rom-agent` for root, `~/.local/state/rom-agent` for others; a checkout has its own',
    example: '/var/lib/rom-agent',
    fixed: true,
    description: 'Directory for data that outlives the daemon: the history of reloads.',
  }),
  admin: setting({
    kind: address(),
    default: null,
    unset: 'no dashboard; `rom-agent dashboard` starts one by hand',
    example: '127.0.0.1:9464',
    fixed: true,
    description:
      'Where the [admin server](admin.md) listens, which has the dashboard and `/metrics`: an address with a port, or the absolute path of a unix socket. On an address that other machines reach it needs `admin_token_file`.',
  }),
  admin_token_file: setting({
    kind: path('the path of a file'),
    default: null,
    unset: 'no token',
    example: '/etc/rom-agent/admin-token',
    fixed: true,
    description:
      'File with the token that the clients of the admin server have to know: one line of at least 16 printable characters.',
  }),
  admin_socket_mode: setting({
    kind: permissions(),
    default: 0o600,
    example: 0o660,
    fixed: true,
    description: 'Permission bits of the unix socket of the admin server, in octal.',
  }),
  routes_prefix: setting({
    kind: text({
      pattern: /^(\/[\w.~-]+)+$/,
      expected: 'a path that begins with "/" and does not end with one, such as "/_ops"',
    }),
    default: null,
    unset: 'none',
    example: '/_ops',
    readers: ['worker'],
    description: 'Path prefix of the operational routes, such as `/healthz`, beside those of a hosted app.',
  }),
  spares: setting({
    kind: integer({ min: 0, max: 64 }),
    default: 0,
    readers: ['policy'],
    description:
      'Number of spare workers. A spare has loaded the app and does not listen until it replaces a worker that died. Not with `dispatch` `reuseport`.',
  }),
  max_age: setting({
    kind: duration({ min: second, max: 366 * 24 * hour, zero: 'never' }),
    default: 0,
    readers: ['policy'],
    description:
      'A worker that has served for this long is recycled: another one starts first, then it drains. Workers get it one after the other, the first at 90 % of the time. 0: never.',
  }),
  max_requests: setting({
    kind: integer({ min: 0, max: 1_000_000_000 }),
    default: 0,
    readers: ['policy'],
    description:
      'A worker that has had this many requests is recycled, as with `max_age`; the first at 90 % of the number. 0: never.',
  }),
  ...sections,
} as const;
