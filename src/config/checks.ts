import { extname } from 'node:path';
import type { Problem } from '../errors.js';
import { adminPlaceOf, isLoopback } from '../protocol/admin-process.js';
import { type Key, settingOf, show } from '../settings/settings.js';
import { smallestHeap } from '../settings/table.js';
import { boundsOf } from '../settings/worker-count.js';
import { cellChecks, cellKeys } from './cell-checks.js';
import { type Check, type CheckInput, problem } from './check.js';
import { mirrorChecks, mirrorKeys } from './mirror-checks.js';
import { isPlatformHint } from './resolve.js';
import type { ReadFile, Values } from './sources.js';

/** What is wrong between settings, or between a setting and the machine. Values reported already are left out. */
export function crossCheck(input: CheckInput): readonly Problem[] {
  return checks.flatMap(({ reads, check }) => {
    if (reads.some((key) => input.values[key].state === 'wrong')) return [];
    return check(input) ?? [];
  });
}

/** A program that Node does not run. */
export interface ForeignProgram {
  /** `Python`; `other programs` where only that much is known. */
  readonly language: string;
  /** What runs it, as in ExecStart=. */
  readonly command: string;
}

const languages: readonly {
  readonly language: string;
  readonly interpreter: string;
  readonly extensions: readonly string[];
  /** In the first line. A shell is in none: many a script of Node begins as one of the shell that starts Node. */
  readonly shebang?: RegExp;
}[] = [
  {
    language: 'Python',
    interpreter: '/usr/bin/python3',
    extensions: ['.py', '.pyc'],
    shebang: /\bpython[\d.]*\b/,
  },
  { language: 'Ruby', interpreter: '/usr/bin/ruby', extensions: ['.rb'], shebang: /\bruby\b/ },
  { language: 'Perl', interpreter: '/usr/bin/perl', extensions: ['.pl'], shebang: /\bperl\b/ },
  { language: 'PHP', interpreter: '/usr/bin/php', extensions: ['.php'], shebang: /\bphp\b/ },
  { language: 'Lua', interpreter: '/usr/bin/lua', extensions: ['.lua'], shebang: /\blua\b/ },
  { language: 'shell scripts', interpreter: '/bin/sh', extensions: ['.sh', '.bash'] },
  { language: 'Java', interpreter: '/usr/bin/java -jar', extensions: ['.jar'] },
];

/** The program that an app's file is, where it is none for Node: by its name, else by its first line; null: Node's. */
export function foreignProgram(path: string, readFile: ReadFile): ForeignProgram | null {
  const extension = extname(path);
  const named = languages.find(({ extensions }) => extensions.includes(extension));
  if (named !== undefined) return { language: named.language, command: `${named.interpreter} ${path}` };
  // What Node takes for a module by its name is none of our business.
  if (extension !== '') return null;
  const text = beginning(path, readFile);
  if (text.startsWith('\x7fELF')) return { language: 'other programs', command: path };
  const line = /^#!.*/.exec(text)?.[0] ?? '';
  const found = languages.find(({ shebang }) => shebang?.test(line) === true);
  return found === undefined ? null : { language: found.language, command: path };
}

const checks: readonly Check[] = [
  ordered('linger', 'drain_timeout', { equal: false }),
  ordered('restart.crash_delay', 'restart.crash_delay_max', { equal: true }),
  ordered('restart.boot_delay', 'restart.boot_delay_max', { equal: true }),
  { reads: ['app'], check: isOfNode },
  { reads: ['kind', 'app'], check: processHasApp },
  { reads: ['kind', 'wait_ready'], check: onlyProcessesSayReady },
  ...(
    [
      'listen_wait',
      'lame_duck',
      'socket_mode',
      'dispatch',
      'balance',
      'sticky',
      'sticky_cookie',
      'worker_ports',
      'keep_alive_timeout',
      'linger',
      'websockets',
      'routes_prefix',
      'spares',
      'health.check',
      'health.probe',
      'poison.deaths',
      'poison.window',
      'poison.block',
      'shed.event_loop_delay',
      'shed.in_flight',
      'start.probe',
      'reload.probe',
      'reload.probe_timeout',
      'reload.max_errors',
      'reload.max_latency',
      ...mirrorKeys,
      ...cellKeys,
    ] as const
  ).map(ofServers),
  { reads: ['mode', 'workers'], check: oneWorkerInSingleMode },
  { reads: ['deploy.window'], check: zoneExists },
  { reads: ['deploy.hook_secret_file', 'admin'], check: hookHasServer },
  { reads: ['notify.webhook', 'notify.webhook_file', 'notify.token_file'], check: tokenHasWebhook },
  { reads: ['fleet.redis_url', 'fleet.redis_url_file', 'fleet.tls_ca'], check: caHasTls },
  { reads: ['dispatch'], check: reuseportExists },
  { reads: ['dispatch', 'spares'], check: sparesCanWait },
  ...mirrorChecks,
  ...cellChecks,
  { reads: ['dispatch', 'listen_wait'], check: portIsShared },
  {
    reads: ['memory.max_rss', 'max_old_space_size', 'mode', 'workers', 'memory_budget', 'spares'],
    check: rssHoldsHeap,
  },
  { reads: ['node_args'], check: flagsOfNode },
  { reads: ['host'], check: ({ values, platform }) => socketPathFits(values, 'host', platform) },
  {
    reads: ['control_socket'],
    check: ({ values, platform }) => socketPathFits(values, 'control_socket', platform),
  },
  { reads: ['admin'], check: ({ values, platform }) => socketPathFits(values, 'admin', platform) },
  {
    reads: ['worker_ports', 'workers', 'mode', 'port', 'host', 'admin', 'sticky'],
    check: workerPortsAreFree,
  },
  { reads: ['admin', 'admin_token_file'], check: strangersNeedToken },
  { reads: ['admin', 'control_socket', 'host', 'port'], check: adminIsApart },
  { reads: ['mode', 'workers', 'memory_budget', 'max_old_space_size'], check: budgetSuffices },
  { reads: ['mode', 'workers', 'memory_budget', 'max_old_space_size'], check: heapsFitBudget },
];

/** Blames the larger one where the smaller one is a default. */
function ordered(
  low: 'linger' | `restart.${'crash' | 'boot'}_delay`,
  high: 'drain_timeout' | `restart.${'crash' | 'boot'}_delay_max`,
  { equal }: { equal: boolean },
): Check {
  return {
    reads: [low, high],
    check: ({ values }) => {
      if (values[low].value < values[high].value || (equal && values[low].value === values[high].value))
        return null;
      const highIsTooLow = values[low].state === 'default';
      const [blamed, other] = highIsTooLow ? [high, low] : [low, high];
      const relation = highIsTooLow ? (equal ? 'at least' : 'more than') : equal ? 'at most' : 'less than';
      return problem(values, blamed, `${relation} ${other}, which is ${shown(values, other)}`);
    },
  };
}

function isOfNode({ values, readFile }: CheckInput): Problem | null {
  const { value } = values.app;
  const program = value === null ? null : foreignProgram(value, readFile);
  if (program === null) return null;
  const unit = `a systemd unit of its own runs ${program.language}: ExecStart=${program.command}`;
  return problem(values, 'app', `a JavaScript or TypeScript module; ${unit}`);
}

function processHasApp({ values }: CheckInput): Problem | null {
  const { kind, app } = values;
  if (kind.value !== 'process' || app.value !== null) return null;
  return problem(values, 'kind', '"server" without app: the built-in app is a server');
}

function onlyProcessesSayReady({ values }: CheckInput): Problem | null {
  const { kind, wait_ready } = values;
  if (kind.value === 'process' || wait_ready.value === 'off') return null;
  const expected = `"off" with kind server (from ${kind.source}): a server is ready when it listens`;
  return problem(values, 'wait_ready', expected);
}

/** A setting that means nothing without a listener or requests. */
function ofServers(key: Key): Check {
  return {
    reads: ['kind', key],
    check: ({ values }) => {
      const { kind, [key]: found } = values;
      const setting = settingOf(key);
      const isUnset = found.state !== 'given' || found.value === setting.default;
      if (kind.value !== 'process' || isUnset || found.value === setting.nothing) return null;
      return problem(
        values,
        key,
        `nothing with kind process (from ${kind.source}), which is for apps that are no server`,
      );
    },
  };
}

function oneWorkerInSingleMode({ values }: CheckInput): Problem | null {
  const { mode, workers } = values;
  if (mode.value !== 'single' || workers.value === 'auto' || workers.value === 1) return null;
  if (isPlatformHint(workers)) return null;
  return problem(
    values,
    'workers',
    `1 in mode single (from ${values.mode.source}), or mode cluster or turbo`,
  );
}

/** net.Server listen's reusePort came with Node 22.12 and 23.1. */
function reuseportExists({ values, nodeVersion, platform }: CheckInput): Problem | null {
  if (values.dispatch.value !== 'reuseport' || (platform === 'linux' && hasReusePort(nodeVersion)))
    return null;
  const here = `this is Node ${nodeVersion} on ${platform}`;
  return problem(
    values,
    'dispatch',
    `"shared" or "round-robin" here: reuseport needs Linux and Node 22.12, 23.1 or later, and ${here}`,
  );
}

/** Flags that this Node does not know would end every worker with status 9. */
function flagsOfNode({ values, nodeVersion, nodeRejects = () => null }: CheckInput): Problem | null {
  const flags = values.node_args.value;
  const doubled = flags.find((flag) => settingInstead(flag) !== null);
  if (doubled !== undefined)
    return problem(
      values,
      'node_args',
      `flags without ${doubled}, for which there is ${settingInstead(doubled)}`,
    );
  const rejection = flags.length === 0 ? null : nodeRejects(flags);
  if (rejection === null) return null;
  return problem(values, 'node_args', `flags that Node ${nodeVersion} knows, but it says: ${rejection}`);
}

/** Flags that a setting stands for. */
const settingFor: Readonly<Record<string, string>> = {
  'max-old-space-size': 'max_old_space_size',
  'max-semi-space-size': 'max_semi_space_size',
  'min-semi-space-size': 'max_semi_space_size',
};

/** The setting that a flag belongs to which rom-agent itself gives to workers; null for other flags. */
function settingInstead(flag: string): string | null {
  return settingFor[flag.replace(/^--|=.*/gs, '').replaceAll('_', '-')] ?? null;
}

/** A spare waits for the listener that the master holds; with reuseport each worker opens one of its own. */
function sparesCanWait({ values }: CheckInput): Problem | null {
  if (values.spares.value === 0 || values.dispatch.value !== 'reuseport') return null;
  return problem(values, 'spares', `0 with dispatch reuseport (from ${values.dispatch.source})`);
}

/** Workers ask the master for the port again and again; with reuseport each opens it itself. */
function portIsShared({ values }: CheckInput): Problem | null {
  if (values.listen_wait.value === 0 || values.dispatch.value !== 'reuseport') return null;
  return problem(values, 'listen_wait', `0 with dispatch reuseport (from ${values.dispatch.source})`);
}

/** A limit below what a worker may use of its heap would replace healthy ones for ever. */
function rssHoldsHeap({ values, effective }: CheckInput): Problem | null {
  const rss = values['memory.max_rss'];
  const heap = effective.max_old_space_size;
  if (rss.value === null || rss.value > heap.value) return null;
  const isGiven = values.max_old_space_size.value !== null;
  const remedy = isGiven
    ? ''
    : `; or set max_old_space_size to less than ${show('memory.max_rss', rss.value)}`;
  return problem(
    values,
    'memory.max_rss',
    `more than max_old_space_size, the heap that a worker may use, which is ${show('max_old_space_size', heap.value)} (from ${heap.from})${remedy}`,
  );
}

function hasReusePort(nodeVersion: string): boolean {
  const [major = 0, minor = 0] = nodeVersion.replace(/^v/, '').split('.').map(Number);
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}

/** sun_path holds 108 bytes on Linux (unix(7)) and 104 on macOS (unix(4)), the closing NUL included. */
function socketPathFits(
  values: Values,
  key: 'host' | 'control_socket' | 'admin',
  platform: NodeJS.Platform,
): Problem | null {
  const { value } = values[key];
  const most = platform === 'darwin' ? 103 : 107;
  if (value === null || !value.startsWith('/') || Buffer.byteLength(value) <= most) return null;
  return problem(values, key, `a path of at most ${most} bytes; this one has ${Buffer.byteLength(value)}`);
}

/** Whoever reaches the admin server may restart workers, and read what was in their memory. */
function strangersNeedToken({ values }: CheckInput): Problem | null {
  const { admin, admin_token_file } = values;
  if (admin.value === null || admin_token_file.value !== null) return null;
  const place = adminPlaceOf(admin.value);
  if (place.kind === 'path' || isLoopback(place.host)) return null;
  const expected = `a loopback address such as "127.0.0.1:${place.port}", or the path of a unix socket; other machines reach this address, for which admin_token_file has to be set`;
  return problem(values, 'admin', expected);
}

/** One port for each worker, none of which is another one of the service's. */
function workerPortsAreFree({ values, effective }: CheckInput): Problem | null {
  const { value: first } = values.worker_ports;
  if (first === null) return null;
  const { max } = boundsOf(effective.workers.value);
  const last = first + max - 1;
  const many = `${max} workers`;
  if (last > 65_535) return problem(values, 'worker_ports', `at most ${65_536 - max} for ${many}`);
  if (values.sticky.value !== 'off')
    return problem(
      values,
      'worker_ports',
      `none with sticky (from ${values.sticky.source}), which sends clients to other workers`,
    );
  const isTcp = values.host.value?.startsWith('/') !== true;
  const place = values.admin.value === null ? null : adminPlaceOf(values.admin.value);
  const taken = [isTcp ? values.port.value : 0, place?.kind === 'tcp' ? place.port : 0];
  const other = taken.find((port) => port >= first && port <= last);
  if (other === undefined) return null;
  return problem(
    values,
    'worker_ports',
    `ports of their own: ${first} to ${last}, for ${many}, have ${other} among them`,
  );
}

function adminIsApart({ values, effective }: CheckInput): Problem | null {
  const { admin, host, port } = values;
  if (admin.value === null) return null;
  const place = adminPlaceOf(admin.value);
  if (place.kind === 'path') {
    const other = [host.value, effective.control_socket.value].includes(place.path);
    return other ? problem(values, 'admin', 'a path of its own: another socket has this one') : null;
  }
  const isPath = host.value?.startsWith('/') === true;
  if (isPath || place.port === 0 || place.port !== port.value) return null;
  return problem(values, 'admin', `another port than that of the service, ${shown(values, 'port')}`);
}

function budgetSuffices({ values, effective }: CheckInput): Problem | null {
  const heap = effective.max_old_space_size.value;
  if (values.max_old_space_size.value !== null || heap >= smallestHeap) return null;
  const { value, from } = effective.memory_budget;
  const { max } = boundsOf(effective.workers.value);
  const expected = `at least ${smallestHeap * max} MiB, ${smallestHeap} for each of ${max} workers`;
  return { field: 'memory_budget', value, source: from, expected };
}

function heapsFitBudget({ values, effective }: CheckInput): Problem | null {
  const { memory_budget: budget, max_old_space_size: heap } = values;
  if (effective.memory_budget.value === null || budget.value === null || heap.value === null) return null;
  const { max } = boundsOf(effective.workers.value);
  const share = Math.floor(budget.value / max);
  if (heap.value <= share) return null;
  const each = `memory_budget (from ${budget.source}) divided by ${max} workers`;
  return problem(values, 'max_old_space_size', `at most ${share}, ${each}, or only one of the two settings`);
}

function zoneExists({ values }: CheckInput): Problem | null {
  const [, zone = null] = /^\S+ (\S+)$/.exec(values['deploy.window'].value ?? '') ?? [];
  try {
    if (zone !== null) new Intl.DateTimeFormat('en', { timeZone: zone });
    return null;
  } catch {
    return problem(values, 'deploy.window', `a time zone of the IANA's database, but ${zone} is none`);
  }
}

/** Not in a worker, where the app could read the secret. */
function hookHasServer({ values }: CheckInput): Problem | null {
  if (values['deploy.hook_secret_file'].value === null || values.admin.value !== null) return null;
  return problem(values, 'deploy.hook_secret_file', 'admin beside it, whose server takes the webhook');
}

function tokenHasWebhook({ values }: CheckInput): Problem | null {
  const hasWebhook = values['notify.webhook'].value !== null || values['notify.webhook_file'].value !== null;
  if (values['notify.token_file'].value === null || hasWebhook) return null;
  return problem(values, 'notify.token_file', 'notify.webhook or notify.webhook_file beside it');
}

function caHasTls({ values }: CheckInput): Problem | null {
  const [url, file] = [values['fleet.redis_url'].value, values['fleet.redis_url_file'].value];
  // What a file holds is known to who reads it.
  if (values['fleet.tls_ca'].value === null || file !== null || url?.startsWith('rediss:') === true)
    return null;
  return problem(values, 'fleet.tls_ca', 'a fleet.redis_url that begins with rediss:// beside it');
}

function shown(values: Values, key: Key): string {
  return `${show(key, values[key].value)} (from ${values[key].source})`;
}

function beginning(path: string, readFile: ReadFile): string {
  try {
    return readFile(path).slice(0, 200);
  } catch {
    // A missing file is told of elsewhere, and a folder is a package.
    return '';
  }
}
