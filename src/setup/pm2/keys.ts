import { showDuration } from '../../settings/kinds.js';
import { calendarOf } from './cron.js';
import { becomes, dropped, numberOf, type Outcome, refused, todo } from './outcome.js';
import { nodeFlagsOf } from './script.js';

export interface KeyContext {
  /** Of the service. */
  readonly name: string;
  readonly kind: 'server' | 'process';
  readonly config: Readonly<Record<string, unknown>>;
  readonly cpus: number;
}

export interface Pm2Key {
  readonly aliases?: readonly string[];
  /** What becomes of it, for the page: Markdown in one line. */
  readonly page: string;
  /** null: another key's answer, or a part of its own, speaks for it. */
  readonly answer: ((value: unknown, context: KeyContext) => Outcome) | null;
}

/** Every key of PM2's schema, by its name there; `env_*` stands for all that begin so. */
export const pm2Keys: Readonly<Record<string, Pm2Key>> = {
  name: {
    page: 'the name of the service: `Web App` is `rom-agent@web-app`',
    answer: (value, { name }) =>
      becomes(value === name ? `rom-agent@${name}` : `rom-agent@${name}, from ${JSON.stringify(value)}`),
  },
  script: {
    aliases: ['exec', 'cmd', 'command'],
    page: '`app`; of `npm start` and the like what the script in package.json runs',
    answer: null,
  },
  args: { page: '`args`', answer: null },
  cwd: { page: '`working_directory`', answer: null },
  exec_interpreter: {
    aliases: ['interpreter'],
    page: '`node` is the service\'s own Node; `tsx` becomes `node_args = ["--import=tsx"]`; what is not Node wants a unit of its own',
    answer: null,
  },
  node_args: {
    aliases: ['interpreterArgs', 'interpreter_args'],
    page: '`node_args`; `--max-old-space-size` and `--max-semi-space-size` become the settings of these names; `--inspect` is left out',
    answer: (value) => nodeFlagsOf(value),
  },
  instances: {
    page: '`workers`; `max` and `0` are `"auto"`, which counts the CPUs that the cgroup allows, `-1` is one less than the CPUs there are',
    answer: (value, { cpus }) => instances(value, cpus),
  },
  exec_mode: {
    page: '`cluster` is the default; `fork` is one worker, or `kind = "process"` if the app does not listen',
    answer: (value, { kind }) => {
      if (kind === 'process')
        return becomes('kind = "process": no listener, the signals and restarts of a worker');
      if (/^cluster/.test(String(value))) return becomes('workers that share the port, as before');
      return becomes('a server with one worker; rom-agent scale gives it more');
    },
  },
  env: {
    page: 'the environment file of the service, `/etc/default/rom-agent@NAME`, which only root may read; `PORT`, `HOST` and `NODE_ENV` become `port`, `host` and `node_env`',
    answer: null,
  },
  'env_*': {
    page: 'with `--env production` the variables of `env_production` come over those of `env`',
    answer: null,
  },
  port: {
    page: '`port`',
    answer: (value) => {
      const port = numberOf(value);
      return port === null
        ? todo(`port = NUMBER in the configuration: ${JSON.stringify(value)} is no port`)
        : becomes(`port = ${port}`, { port });
    },
  },
  max_memory_restart: {
    page: '`max_rss` under `[memory]`: a new worker comes first, and the old one drains. Where no heap limit is given, `max_old_space_size` becomes three quarters of it',
    answer: (value, { config }) => memory(value, config),
  },
  kill_timeout: {
    page: '`drain_timeout`, at least 1 s. It is 30 s where nothing is set (PM2: 1.6 s)',
    answer: (value) => {
      const ms = numberOf(value);
      if (ms === null)
        return todo(`drain_timeout = TIME in the configuration: ${JSON.stringify(value)} is no number of ms`);
      const setting = showDuration(Math.max(1000, ms));
      return becomes(`drain_timeout = "${setting}"`, { drain_timeout: setting });
    },
  },
  listen_timeout: {
    page: '`boot_timeout`, where it is more than the 30 s that hold anyway. A worker that does not listen in time fails; PM2 takes it for ready',
    answer: (value) => {
      const ms = numberOf(value);
      if (ms === null || ms <= bootTimeout)
        return dropped(
          `boot_timeout stays 30 s: ${value} ms would kill an app that PM2 would have waited for`,
        );
      return becomes(`boot_timeout = "${showDuration(ms)}"`, { boot_timeout: showDuration(ms) });
    },
  },
  wait_ready: {
    page: 'of a server nothing: a worker is ready when it listens, and `process.send(\'ready\')` does no harm. Of an app without a listener `wait_ready = "on"`',
    answer: (value, { kind }) => {
      if (kind === 'process' && value === true) return becomes('wait_ready = "on"', { wait_ready: 'on' });
      return dropped("a worker is ready when it listens; process.send('ready') does no harm");
    },
  },
  shutdown_with_message: {
    page: "a SIGTERM handler in the app instead of `process.on('message')` with `shutdown`",
    answer: (value) =>
      value === true
        ? todo(
            "the message 'shutdown' is never sent: the app needs process.on('SIGTERM'), or process.on('SIGINT')",
          )
        : dropped('SIGTERM, or SIGINT where the app handles only that'),
  },
  cron_restart: {
    aliases: ['cron'],
    page: 'a systemd timer, `rom-agent-reload-NAME.timer`, which reloads the service: no request is lost. With `autorestart: false` the app is a job: see there',
    answer: cron,
  },
  autorestart: {
    page: '`true` is the default. An app with `autorestart: false` is a job, not a service: a systemd timer or a oneshot unit of its own, whose text `import` prints',
    answer: (value, { name }) =>
      value === false
        ? refused(
            `an app that runs to its end is a job, not a service: a oneshot unit, such as ${name}.service below`,
          )
        : dropped('workers that end are replaced'),
  },
  autostart: {
    page: '`false`: `systemctl disable rom-agent@NAME` afterwards',
    answer: (value, { name }) =>
      value === false
        ? todo(`systemctl disable rom-agent@${name}: a service that import installs starts at boot`)
        : dropped('the service starts at boot'),
  },
  restart_delay: {
    page: '`crash_delay` under `[restart]`, which doubles with each crash',
    answer: (value) => delay(value, 'which doubles with each crash'),
  },
  exp_backoff_restart_delay: {
    page: '`crash_delay` under `[restart]`; backoff is on by default',
    answer: (value) => delay(value, 'which doubles with each crash; backoff is on by default'),
  },
  max_restarts: {
    page: 'nothing: `intensity` under `[restart]` says how many deaths within `window` end the service, and systemd starts it again. No app stays `errored`',
    answer: () =>
      dropped(
        'the service never stays down: restart.intensity and restart.window, then systemd starts it again',
      ),
  },
  min_uptime: {
    page: 'nothing: a worker has started when it listens; deaths before that wait longer (`boot_delay` under `[restart]`)',
    answer: () => dropped('a worker counts as started when it listens'),
  },
  stop_exit_codes: {
    page: 'nothing of the kind: a worker that ends is replaced, whatever its exit status. The app calls `process.exit()` no more to be stopped',
    answer: (value) =>
      todo(
        `a worker that ends with ${[value].flat().join(', ')} is replaced like any other: use systemctl stop`,
      ),
  },
  uid: {
    aliases: ['user'],
    page: '`User=` of the service',
    answer: (value) => becomes(`User=${value}`, {}, { user: String(value) }),
  },
  gid: {
    page: '`Group=` of the service',
    answer: (value) => becomes(`Group=${value}`, {}, { group: String(value) }),
  },
  username: { page: 'who started PM2: `User=` of the service, unless that is root', answer: null },
  out_file: {
    aliases: ['out', 'output', 'out_log'],
    page: 'nothing: the journal (`journalctl -u rom-agent@NAME`). `dir` under `[log]` writes a file a day besides',
    answer: logFile,
  },
  error_file: {
    aliases: ['error', 'err', 'err_file', 'err_log'],
    page: 'nothing: the journal; `journalctl -p err` has the errors',
    answer: logFile,
  },
  log_file: { aliases: ['log'], page: 'nothing: the journal has both streams', answer: logFile },
  disable_logs: {
    page: '`StandardOutput=null` in a drop-in, if the journal is not to have them',
    answer: (value, { name }) =>
      value === true
        ? todo(
            `systemctl edit rom-agent@${name} with StandardOutput=null, if the journal is not to have the output`,
          )
        : dropped('the journal has the output'),
  },
  log_type: {
    page: 'nothing: `journalctl -o json`',
    answer: (_, { name }) => dropped(`journalctl -u rom-agent@${name} -o json`),
  },
  log_date_format: {
    page: 'nothing: the journal has the time of each line; `journalctl -o short-iso` shows it so',
    answer: journalTime,
  },
  time: { page: 'nothing: the journal has the time of each line', answer: journalTime },
  merge_logs: {
    aliases: ['combine_logs'],
    page: 'nothing: all workers write to one journal, with their numbers',
    answer: () => dropped('all workers write to one journal, with their numbers'),
  },
  pid_file: {
    aliases: ['pid'],
    page: 'nothing: `systemctl show -p MainPID rom-agent@NAME`',
    answer: (_, { name }) => dropped(`systemctl show -p MainPID rom-agent@${name}`),
  },
  watch: {
    page: '`rom-agent serve app.js --watch` in development; a service is reloaded, by `rom-agent reload`',
    answer: (value) =>
      value === false
        ? dropped('a service does not watch its files')
        : todo(
            'a service does not watch its files: rom-agent reload after a deployment, rom-agent serve --watch in development',
          ),
  },
  ignore_watch: { page: 'as `watch`', answer: () => dropped('as watch') },
  watch_delay: { page: 'as `watch`', answer: () => dropped('as watch') },
  watch_options: { page: 'as `watch`', answer: () => dropped('as watch') },
  instance_var: {
    page: '`NODE_APP_INSTANCE` is set, from 0, and `ROM_WORKER`, from 1; under another name nothing is',
    answer: (value) =>
      value === 'NODE_APP_INSTANCE'
        ? dropped('NODE_APP_INSTANCE is set')
        : todo(`the app finds its number in NODE_APP_INSTANCE, not in ${value}`),
  },
  increment_var: {
    page: '`NODE_APP_INSTANCE` or `ROM_WORKER` in the app: no other variable counts up',
    answer: (value) => todo(`${value} does not count up: let the app add NODE_APP_INSTANCE (from 0) to it`),
  },
  source_map_support: {
    page: '`node_args = ["--enable-source-maps"]` where it is `true`',
    answer: (value) =>
      value === true
        ? { ...becomes('node_args has --enable-source-maps'), nodeArgs: ['--enable-source-maps'] }
        : dropped('stack traces are as Node writes them'),
  },
  disable_source_map_support: {
    page: 'nothing: source maps are off unless `node_args` has `--enable-source-maps`',
    answer: () => dropped('source maps are off unless node_args has --enable-source-maps'),
  },
  namespace: {
    page: 'nothing: `rom-agent list` shows all services',
    answer: () => dropped('rom-agent list shows all services'),
  },
  name_prefix: {
    page: 'nothing: put it into `name`',
    answer: (value) => todo(`put ${JSON.stringify(value)} into name, if the service is to be called so`),
  },
  append_env_to_name: { page: 'nothing: put it into `name`', answer: () => dropped('put it into name') },
  filter_env: {
    page: 'nothing: a service gets no variable of a shell',
    answer: () => dropped('a service gets no variable of a shell'),
  },
  install_url: {
    page: 'nothing: it is of a module of PM2',
    answer: () => dropped('it is of a module of PM2'),
  },
  vizion: {
    page: 'nothing: put the version into the path of the release',
    answer: () => dropped('no command of git is run'),
  },
  execute_command: {
    page: 'nothing: `app` names a JavaScript file or the command of a package',
    answer: () => dropped('app names a file of JavaScript or the command of a package'),
  },
  force: { page: 'nothing: it is of `pm2 start`', answer: () => dropped('it is of pm2 start') },
  write: { page: 'nothing: it is of `pm2 start`', answer: () => dropped('it is of pm2 start') },
  post_update: {
    page: 'the same commands in your deployment, before `rom-agent reload`',
    answer: (value) =>
      todo(`run in your deployment, before rom-agent reload: ${[value].flat().join(' && ')}`),
  },
  treekill: {
    page: 'nothing: systemd ends everything in the control group of the service',
    answer: (value) =>
      value === false
        ? todo('what the app leaves running is ended with the service: systemd ends its control group')
        : dropped('systemd ends the control group'),
  },
  kill_retry_time: {
    page: 'nothing: it is how often PM2 looks',
    answer: () => dropped('it is how often PM2 looks'),
  },
  windowsHide: { page: 'nothing', answer: () => dropped('it is of Windows') },
  trace: ofPm2Plus(),
  disable_trace: ofPm2Plus(),
  v8: ofPm2Plus(),
  event_loop_inspector: ofPm2Plus(),
  deep_monitoring: ofPm2Plus(),
  pmx: ofPm2Plus(),
  automation: ofPm2Plus(),
  io: ofPm2Plus(),
};

/** The name in PM2's schema of a key that may be an alias; itself where PM2 does not know it. */
export function canonicalName(key: string): string {
  return names.get(key) ?? key;
}

export function keyOf(name: string): Pm2Key | null {
  if (/^env_\S*$/.test(name)) return pm2Keys['env_*'] ?? null;
  return Object.hasOwn(pm2Keys, name) ? (pm2Keys[name] ?? null) : null;
}

/** PM2 takes each key in camel case too. */
const names: ReadonlyMap<string, string> = new Map(
  Object.entries(pm2Keys).flatMap(([name, { aliases = [] }]) =>
    [name, name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase()), ...aliases].map(
      (alias): [string, string] => [alias, name],
    ),
  ),
);

/** ms; the default of boot_timeout */
const bootTimeout = 30_000;
/** ms; the default of restart.crash_delay_max */
const longestDelay = 5000;

function instances(value: unknown, cpus: number): Outcome {
  const given = value === 'max' ? 0 : Number(value);
  if (!Number.isInteger(given))
    return todo(`workers = NUMBER in the configuration: ${JSON.stringify(value)} is none`);
  if (given === 0) return becomes('workers = "auto": one for each CPU', { workers: 'auto' });
  const workers = given > 0 ? given : Math.max(1, cpus + given);
  const why = given > 0 ? '' : `, ${-given} less than the ${cpus} CPUs of this machine`;
  return becomes(`workers = ${workers}${why}`, { workers });
}

function memory(value: unknown, config: KeyContext['config']): Outcome {
  const [, digits, unit = ''] = /^(\d+)([KMG]?)$/.exec(String(value)) ?? [];
  if (digits === undefined)
    return todo(`max_rss under [memory]: ${JSON.stringify(value)} is no size such as "300M"`);
  const bytes = Number(digits) * (units[unit] ?? 1);
  const limit = Math.max(leastLimit, Math.round(bytes / 2 ** 20));
  const given = nodeFlagsOf(config.node_args).settings?.max_old_space_size;
  const becomesLimit = `memory.max_rss = ${limit}`;
  if (typeof given === 'number') {
    if (given < limit) return becomes(becomesLimit, { 'memory.max_rss': limit });
    return todo(
      `left out: the limit of ${limit} MiB is not more than the heap that node_args allow, ${given} MiB. Set memory.max_rss to more`,
    );
  }
  const heap = Math.floor(limit * heapShare);
  return becomes(`${becomesLimit}, max_old_space_size = ${heap}`, {
    'memory.max_rss': limit,
    max_old_space_size: heap,
  });
}

const units: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
/** Of the resident set, the rest is code, buffers and stacks. */
const heapShare = 0.75;
/** MiB: three quarters of it are the smallest heap. */
const leastLimit = 48;

function delay(value: unknown, more: string): Outcome {
  const ms = numberOf(value);
  if (ms === null || ms === 0) return dropped('backoff is on by default: 100 ms, doubled with each crash');
  const shown = showDuration(ms);
  const longest = ms > longestDelay ? { 'restart.crash_delay_max': shown } : {};
  return becomes(`restart.crash_delay = "${shown}", ${more}`, { 'restart.crash_delay': shown, ...longest });
}

function cron(value: unknown, { name, config }: KeyContext): Outcome {
  if (value === 0 || value === '0' || value === false) return dropped('it is switched off');
  if (config.autorestart === false) return dropped(`when the job runs: ${name}.timer below`);
  const calendar = typeof value === 'string' ? calendarOf(value) : null;
  if (calendar === null)
    return todo(
      `systemd has no such time; a line of cron does: ${value} root systemctl reload rom-agent@${name}`,
    );
  const when = calendar.map((each) => `OnCalendar=${each}`).join(' and ');
  return becomes(
    `rom-agent-reload-${name}.timer, ${when}: a reload, which loses no request`,
    {},
    { calendar },
  );
}

function logFile(value: unknown, { name }: KeyContext): Outcome {
  if (value === '/dev/null' || value === 'NULL')
    return todo(
      `systemctl edit rom-agent@${name} with StandardOutput=null, if the journal is not to have it`,
    );
  if (value === false) return dropped(`journalctl -u rom-agent@${name}`);
  return dropped(`journalctl -u rom-agent@${name}; log.dir writes a file a day besides`);
}

function journalTime(_: unknown, { name }: KeyContext): Outcome {
  return dropped(`the journal has the time: journalctl -u rom-agent@${name} -o short-iso`);
}

function ofPm2Plus(): Pm2Key {
  return {
    page: 'nothing: `rom-agent status` and `events` show the workers, and the app its own metrics',
    answer: () => dropped('it is of PM2 Plus; rom-agent status shows the workers'),
  };
}
