import { cpus as cpusOf } from 'node:os';
import { isRecord } from '../../config/package.js';
import type { ReadFile } from '../../config/sources.js';
import { keys } from '../../settings/settings.js';
import { signed } from '../files.js';
import { reloadUnits, unitDirectory } from '../names.js';
import type { PlannedFile, ServiceRequest } from '../plan.js';
import type { Pm2App } from './apps.js';
import { type Variables, variablesOfApp } from './environment.js';
import { keyOf } from './keys.js';
import { becomes, dropped, type Outcome, refused, todo, type Verdict } from './outcome.js';
import { type Called, scriptOf } from './script.js';

/** What comes of one key of an app. */
export interface Row {
  readonly key: string;
  /** As PM2 has it, shortened; of `env` the names alone. */
  readonly value: string;
  readonly verdict: Verdict;
  readonly says: string;
}

export interface Conversion {
  /** As PM2 has it. */
  readonly app: Pm2App;
  /** Of the service. */
  readonly name: string;
  readonly kind: Kind;
  readonly rows: readonly Row[];
  /** null: the app is refused. */
  readonly request: ServiceRequest | null;
  /** The timer of a `cron_restart`, with its service. */
  readonly timer: { readonly unit: string; readonly files: readonly PlannedFile[] } | null;
  /** Of an app that is a job: units to write by hand. */
  readonly byHand: readonly PlannedFile[];
}

export type Kind = 'server' | 'process';

/** What was seen of an app while PM2 runs it. */
export interface Seen {
  /** TCP ports that its processes listen on, in order; null: nobody could look. */
  readonly ports: readonly number[] | null;
  /** Who its processes run as; null: nobody could look, or it is root. */
  readonly user: string | null;
}

export interface Circumstances {
  readonly kind: Kind;
  readonly seen: Seen;
  /** `production` for `env_production`. */
  readonly environment: string | null;
  readonly socket: boolean;
  readonly readFile: ReadFile;
  readonly cpus?: number;
  /** The node that the service will run. */
  readonly node: string;
}

/** A name that a service can have: small letters, digits, `.`, `_` and `-`. */
export function serviceName(name: string): string {
  const plain = name
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-');
  return plain
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 41)
    .replace(/-+$/, '');
}

/**
 * Whether an app is a server, as far as that can be told: what is asked for, then PM2's cluster mode, then whether its
 * processes listen, then whether it was given a port. null: it cannot.
 */
export function kindOf({ config }: Pm2App, { ports }: Pick<Seen, 'ports'>): Kind | null {
  if (isCluster(config)) return 'server';
  if (ports !== null) return ports.length > 0 ? 'server' : 'process';
  const env = isRecord(config.env) ? config.env : {};
  return config.port !== undefined || env.PORT !== undefined ? 'server' : null;
}

/** PM2 takes an app of Node with `instances` for one in cluster mode, unless it says otherwise. */
function isCluster(config: Pm2App['config']): boolean {
  if (typeof config.exec_mode === 'string') return config.exec_mode.startsWith('cluster');
  const interpreter = String(config.exec_interpreter ?? 'node');
  return config.instances !== undefined && /node$/.test(interpreter);
}

/** Everything that an app of PM2 says, and the service that it becomes. */
export function convert(app: Pm2App, circumstances: Circumstances): Conversion {
  const { kind, cpus = cpusOf().length } = circumstances;
  const name = serviceName(app.name);
  const context = { name, kind, config: app.config, cpus };
  const script = scriptOf(app, circumstances.readFile);
  const called = 'called' in script ? script.called : null;
  const variables = variablesOfApp(app.config, {
    chosen: circumstances.environment,
    more: called?.environment ?? {},
  });
  const answers = Object.entries(app.config).flatMap(([key, value]): Answer[] => {
    const known = keyOf(key);
    if (known === null) return [{ key, value, outcome: dropped('PM2 does not know this key either') }];
    const outcome = known.answer?.(value, context) ?? null;
    return outcome === null ? [] : [{ key, value, outcome }];
  });
  const own: readonly Answer[] = [
    ...('refusal' in script
      ? [{ key: 'script', value: app.config.script, outcome: refused(script.refusal) }]
      : scriptRows(app, script.called, circumstances)),
    ...(app.config.exec_mode === undefined ? [modeRow(app, kind)] : []),
    ...variables.rows,
    ...seenRows({ app, variables, circumstances }),
  ];
  const all = [...own, ...answers];
  const rows = all.map(({ key, value, outcome }) => ({
    key,
    value: shown(value),
    verdict: outcome.verdict,
    says: outcome.says,
  }));
  const isRefused = rows.some(({ verdict }) => verdict === 'refused');
  const request =
    called === null || isRefused ? null : requestOf({ app, name, called, variables, all, circumstances });
  const calendar = all.flatMap(({ outcome }) => outcome.calendar ?? []);
  const isJob = app.config.autorestart === false;
  return {
    ...{ app, name, kind, rows, request },
    timer: calendar.length === 0 || isRefused ? null : reloadTimer(name, calendar),
    byHand: isJob && called !== null ? jobUnits({ app, name, called, variables, circumstances }) : [],
  };
}

interface Answer {
  readonly key: string;
  readonly value: unknown;
  readonly outcome: Outcome;
}

function scriptRows({ config, cwd }: Pm2App, called: Called, { node }: Circumstances): readonly Answer[] {
  const { app, args, from } = called;
  const asks = config.exec_interpreter;
  return [
    {
      key: 'script',
      value: config.script,
      outcome: becomes(`app = ${JSON.stringify(app)}${from === null ? '' : `, from ${from}`}`),
    },
    { key: 'cwd', value: config.cwd ?? '', outcome: becomes(`working_directory = ${JSON.stringify(cwd)}`) },
    ...(args.length === 0
      ? []
      : [{ key: 'args', value: config.args ?? '', outcome: becomes(`args = ${JSON.stringify(args)}`) }]),
    ...(asks === undefined
      ? []
      : [{ key: 'interpreter', value: asks, outcome: interpreter(asks, { called, node }) }]),
  ];
}

function interpreter(asks: unknown, { called, node }: { called: Called; node: string }): Outcome {
  if (called.nodeArgs.includes('--import=tsx')) return becomes('node_args = ["--import=tsx"]');
  if (asks === node || asks === 'node' || asks === 'none') return dropped(`the service runs ${node}`);
  return todo(`the service runs ${node}; for another Node install rom-agent with that one`);
}

function modeRow({ config }: Pm2App, kind: Kind): Answer {
  const mode = isCluster(config) ? 'cluster' : 'fork';
  const answer = keyOf('exec_mode')?.answer;
  const outcome = answer?.(mode, { name: '', kind, config, cpus: 1 }) ?? dropped('');
  return { key: 'exec_mode', value: `${mode}, not given`, outcome };
}

/** What stood in no file, but matters: the port that the app really listens on, and NODE_ENV. */
function seenRows({
  app,
  variables,
  circumstances,
}: {
  app: Pm2App;
  variables: Variables;
  circumstances: Circumstances;
}): readonly Answer[] {
  const rows: Answer[] = [];
  const { seen, kind } = circumstances;
  const configured = numberIn(app.config.port) ?? numberIn(variables.settings.port);
  if (kind === 'server' && configured === null) {
    const [port, ...others] = seen.ports ?? [];
    if (port === undefined)
      rows.push({
        key: 'port',
        value: 'not given',
        outcome: todo(
          'port = NUMBER in the configuration, if it is not 3000: rom-agent tells the app by PORT',
        ),
      });
    else {
      const more = others.length === 0 ? '' : `; it listens on ${others.join(', ')} besides`;
      rows.push({
        key: 'port',
        value: 'seen',
        outcome: becomes(`port = ${port}, where it listens under PM2${more}`, { port }),
      });
    }
  }
  if (variables.settings.node_env === undefined)
    rows.push({
      key: 'env.NODE_ENV',
      value: 'not given',
      outcome: todo('node_env is "production" unless the configuration says otherwise'),
    });
  return rows;
}

function numberIn(value: unknown): number | null {
  const number = Number(value);
  return value === undefined || !Number.isInteger(number) ? null : number;
}

interface RequestParts {
  readonly app: Pm2App;
  readonly name: string;
  readonly called: Called;
  readonly variables: Variables;
  readonly all: readonly Answer[];
  readonly circumstances: Circumstances;
}

function requestOf({ app, name, called, variables, all, circumstances }: RequestParts): ServiceRequest {
  const { kind, seen, socket } = circumstances;
  const given = all.map(({ outcome }) => outcome);
  const nodeArgs = [...new Set([...called.nodeArgs, ...given.flatMap(({ nodeArgs }) => nodeArgs ?? [])])];
  const settings: Record<string, unknown> = {
    app: called.app,
    ...(called.args.length === 0 ? {} : { args: called.args }),
    ...(nodeArgs.length === 0 ? {} : { node_args: nodeArgs }),
    working_directory: app.cwd,
    ...(kind === 'process' ? { kind } : {}),
    ...(isCluster(app.config) ? {} : { workers: 1 }),
    ...called.settings,
    ...variables.settings,
    ...Object.assign({}, ...given.map(({ settings }) => settings ?? {})),
  };
  const user = given.find(({ user }) => user !== undefined)?.user ?? seen.user;
  const group = given.find(({ group }) => group !== undefined)?.group ?? null;
  return {
    name,
    settings,
    environment: variables.environment,
    envFile: null,
    user,
    group,
    socket: socket && kind === 'server',
  };
}

/** Whether this rom-agent serves apps without a listener. */
export function knowsProcesses(): boolean {
  return (keys as readonly string[]).includes('kind');
}

function reloadTimer(name: string, calendar: readonly string[]): Conversion['timer'] {
  const units = reloadUnits(name);
  const service = `[Unit]
Description=Reload of rom-agent@${name}

[Service]
Type=oneshot
ExecStart=systemctl reload rom-agent@${name}.service
`;
  const timer = `[Unit]
Description=When rom-agent@${name} is reloaded

[Timer]
${calendar.map((each) => `OnCalendar=${each}\n`).join('')}
[Install]
WantedBy=timers.target
`;
  return {
    unit: units.timer,
    files: [planned(units.service, service), planned(units.timer, timer)],
  };
}

function planned(name: string, text: string): PlannedFile {
  return { path: `${unitDirectory}/${name}`, content: signed(text), mode: 0o644 };
}

type JobParts = Omit<RequestParts, 'all'>;

/** The units of an app that runs to its end: rom-agent does not manage it. */
function jobUnits({
  app,
  name,
  called,
  variables,
  circumstances: { node, seen },
}: JobParts): readonly PlannedFile[] {
  const command = [node, ...called.nodeArgs, called.app, ...called.args].map(unitWord).join(' ');
  const names = [
    ...Object.keys(variables.environment),
    ...(variables.settings.node_env === undefined ? [] : ['NODE_ENV']),
  ];
  const environment =
    names.length === 0 ? '' : `# A file with ${names.join(', ')}\nEnvironmentFile=/etc/default/${name}\n`;
  const service = `[Unit]
Description=${name}

[Service]
Type=oneshot
ExecStart=${command}
WorkingDirectory=${app.cwd}
${seen.user === null ? 'DynamicUser=yes\n' : `User=${seen.user}\n`}${environment}`;
  const files = [{ path: `${unitDirectory}/${name}.service`, content: service, mode: 0o644 }];
  const calendar = typeof app.config.cron_restart === 'string' ? calendarLines(app) : [];
  if (calendar.length === 0) return files;
  const timer = `[Timer]\n${calendar.map((line) => `OnCalendar=${line}\n`).join('')}\n[Install]\nWantedBy=timers.target\n`;
  return [...files, { path: `${unitDirectory}/${name}.timer`, content: timer, mode: 0o644 }];
}

function calendarLines({ config }: Pm2App): readonly string[] {
  const { autorestart, ...others } = config;
  return (
    keyOf('cron_restart')?.answer?.(config.cron_restart, {
      name: '',
      kind: 'process',
      config: others,
      cpus: 1,
    }).calendar ?? []
  );
}

/** A word of a command line in a unit: systemd.service(5). */
function unitWord(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@+=,./:%-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll(/["\\]/g, '\\$&')}"`;
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > longest ? `${text.slice(0, longest - 3)}...` : text;
}

const longest = 60;
